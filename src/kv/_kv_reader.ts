import { checkIterable } from "../checks.ts";
import { rejecting } from "../rejecting.ts";
import { readSnapshot } from "../bucket/read_snapshot.ts";
import { orElsePermission } from "../wire/api.ts";
import type { Call } from "../wire/call.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { type KvEntry, operationOf, StoredEntry } from "./kv_entry.ts";
import type { KvMirror } from "./_kv_mirror.ts";
import { checkKvGetManyOptions, checkKvGetOptions, type KvGetManyOptions, type KvGetOptions } from "./kv_options.ts";
import type { KvStream } from "./_kv_stream.ts";

/** Reads values: from the mirror while that is in sync, else from the server. */
export class KvReader {
  readonly #stream: KvStream;
  readonly #mirror: KvMirror | null;

  constructor(stream: KvStream, mirror: KvMirror | null) {
    this.#stream = stream;
    this.#mirror = mirror;
  }

  /** {@linkcode KvBucket.get}. */
  get(key: string, options?: KvGetOptions): Promise<KvEntry | null> {
    return rejecting(() => {
      const doing = "read the value";
      const subject = this.#stream.subjectOf(key, doing);
      const { revision } = checkKvGetOptions(options, doing);
      return revision === undefined ? this.#value(key, subject) : this.#revision(key, subject, revision);
    });
  }

  /** {@linkcode KvBucket.getMany}. */
  getMany(keys: Iterable<string>, options?: KvGetManyOptions): Promise<Map<string, KvEntry> | null> {
    const doing = "read the values";
    const { snapshot = false } = checkKvGetManyOptions(options, doing);
    // All keys are checked before the first one is looked up.
    const subjectOf = (key: string) => [key, this.#stream.subjectOf(key, doing)] as const;
    const subjects = new Map(checkIterable(keys, doing, "keys").map(subjectOf));
    return snapshot ? this.#snapshot(subjects) : this.#many(subjects);
  }

  #value(key: string, subject: string): Promise<KvEntry | null> {
    const held = this.#mirror?.get(subject);
    if (held) return Promise.resolve(new StoredEntry(key, "put", held));
    const foreign = this.#stream.foreignSubjectOf(key);
    if (held === null && foreign === null) return Promise.resolve(null);
    return this.#stream.observe("get", (call) => {
      const newest = this.#stream.last(call, subject);
      if (foreign === null) return newest;
      return newest.then((message) => message ?? this.#stream.last(call, foreign));
    }).then((message) => entryOf(key, message));
  }

  /** A revision of a key; `null` if it is not kept, is no value or another key's, or without a connection. */
  async #revision(key: string, subject: string, revision: number): Promise<KvEntry | null> {
    const message = await this.#stream.observe("get", async (call) => {
      if (!this.#stream.isSeen(call.session)) await this.#stream.look(call);
      const query = { seq: revision, next_by_subj: this.#stream.stored(subject), batch: 1 };
      const read = (fromLeader?: boolean) => this.#stream.reader.page(call, query, fromLeader);
      const found = (await read()).at(0) ?? (call.session.requests.alone ? undefined : (await read(true)).at(0));
      return found?.sequence === revision ? found : null;
    });
    return entryOf(key, message);
  }

  /** The values of keys; those without one are left out. `null` if not all of them could be read. */
  async #many(subjects: Map<string, string>): Promise<Map<string, KvEntry> | null> {
    const entries = new Map<string, KvEntry>();
    const missing = new Map<string, string>();
    for (const [key, subject] of subjects) {
      const held = this.#mirror?.get(subject);
      if (held) entries.set(key, new StoredEntry(key, "put", held));
      else if (held === undefined || this.#stream.foreignSubjectOf(key) !== null) missing.set(key, subject);
    }
    if (missing.size === 0) return entries;
    return await this.#stream.observe("getMany", async (call) => {
      for (const [key, message] of await this.#stream.newest(call, missing)) {
        const entry = entryOf(key, message);
        if (entry) entries.set(key, entry);
      }
      return entries;
    });
  }

  /** The values of keys as of one moment. `null` if they could not be read so within the deadline. */
  async #snapshot(subjects: Map<string, string>): Promise<Map<string, KvEntry> | null> {
    return await this.#stream.observe("getMany", async (call) => {
      // A mirror has the subjects of the bucket that it mirrors.
      if (!this.#stream.isSeen(call.session)) await this.#stream.look(call);
      const stored = Array.from(subjects, ([key, subject]) => {
        const foreign = this.#stream.foreignSubjectOf(key);
        return [
          key,
          [subject, ...(foreign === null ? [] : [foreign])].map((each) => this.#stream.stored(each)),
        ] as const;
      });
      const found = await readSnapshot(call, this.#stream, [...new Set(stored.flatMap(([, each]) => each))]);
      const entries = new Map<string, KvEntry>();
      for (const [key, each] of stored) {
        const subject = each.find((subject) => found.has(subject));
        const entry = subject === undefined ? null : entryOf(key, found.get(subject)!);
        if (entry) entries.set(key, entry);
      }
      return entries;
    });
  }

  /** The value of a key as the leader has it, where this user may ask the leader: for what is decided by it. */
  async newest(call: Call, key: string, subject: string): Promise<KvEntry | null> {
    const asksLeader = call.session.requests.alone ? undefined : true;
    const message = await orElsePermission(undefined, this.#stream.last(call, subject, asksLeader));
    return entryOf(key, message === undefined ? await this.#stream.last(call, subject) : message);
  }
}

/** What a message says of a key's value. */
export function entryOf(key: string, message: StoredMessage | null): KvEntry | null {
  return message !== null && operationOf(message) === "put" ? new StoredEntry(key, "put", message) : null;
}
