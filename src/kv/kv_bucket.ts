import { checkIterable, wrong } from "../checks.ts";
import type { Context } from "../wire/context.ts";
import { listAll, listNewest } from "../bucket/list_messages.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { checkName } from "../wire/tokens.ts";
import { watchBucket } from "../bucket/watch.ts";
import { type KvEntry, operationOf, StoredEntry } from "./kv_entry.ts";
import { KvMirror } from "./kv_mirror.ts";
import {
  checkKvDeleteOptions,
  checkKvOptions,
  checkKvWatchOptions,
  type KvBucketOptions,
  type KvDeleteOptions,
  type KvWatchOptions,
} from "./kv_options.ts";
import { type KvStatus, kvStatus } from "./kv_status.ts";
import { KvStream } from "./kv_stream.ts";
import { checkWrite, DELETE, Guard, type KvWrite, type KvWriteOptions, KvWriter, PURGE } from "./kv_write.ts";

/**
 * A key-value bucket, in the format of all NATS clients (ADR-8).
 *
 * Any non-empty string is a key: made of `A-Z a-z 0-9 - / _ = .` it looks the same to every client, and other characters are encoded token by token.
 * The bucket is made by the first write; reads of what is not there are `null`, as is everything while there is no connection.
 *
 * With replicas a process reads what it has written, whichever handle has written it, and never less than it has read: for the 10 000 keys of a bucket
 * that it used last, and for what it wrote within the last minute. A list that begins on a replica that lags behind has its own writes of these keys.
 *
 * Each method throws a `TypeError` or a `RangeError` if an argument is not what it must be (a key: a non-empty, well-formed string of at most 3 000
 * bytes as a subject; a value: no larger than the server takes), and a `JetStreamStoreError` if the server refuses for good, or the stream of this
 * name is no key-value bucket. What lists or follows gives an iterable; iterating throws a `JetStreamStoreError` (`disconnected`) if there is no
 * connection when it begins, and when a list breaks off.
 *
 * @example
 * ```ts
 * import { kvBucket } from "@supercheck/jetstream";
 *
 * const visits = kvBucket("visits", { ttl: 3_600_000 });
 * await visits.put("page.home", JSON.stringify({ count: 1 }));
 * const entry = await visits.get("page.home");
 * const page: { count: number } | undefined = entry?.json();
 * console.log(page?.count); // 1
 * ```
 *
 * @category Buckets
 */
export class KvBucket {
  /** The bucket's name. */
  readonly name: string;
  readonly #stream: KvStream;
  readonly #writer: KvWriter;
  readonly #mirror: KvMirror | null;

  /**
   * What `kvBucket(name, options)` is made of.
   * @ignore
   */
  constructor(context: Context, name: string, given?: KvBucketOptions) {
    checkName(name, "bucket");
    const options = checkKvOptions(given);
    this.name = name;
    this.#stream = new KvStream(context, name, options);
    this.#mirror = options.cache ? new KvMirror(this.#stream) : null;
    this.#writer = new KvWriter(this.#stream);
  }

  /**
   * The value of a key: what this process has written or read before, or newer, also where a replica lags behind.
   *
   * @returns `null` if the key has no value (never had one, is deleted, has expired), or without a connection.
   */
  async get(key: string): Promise<KvEntry | null> {
    const subject = this.#stream.subjectOf(key, "read the value");
    const held = this.#mirror?.get(subject);
    if (held) return new StoredEntry(key, "put", held);
    const foreign = this.#stream.foreignSubjectOf(key);
    if (held === null && foreign === null) return null;
    const message = await this.#stream.observe("get", (call) => {
      const newest = this.#stream.last(call, subject);
      if (foreign === null) return newest;
      return newest.then((message) => message ?? this.#stream.last(call, foreign));
    });
    return message !== null && operationOf(message) === "put" ? new StoredEntry(key, "put", message) : null;
  }

  /**
   * The values of many keys in few requests; keys without a value are not in the map.
   *
   * @returns `null` without a connection, or if not all of them could be read within the deadline.
   */
  async getMany(keys: Iterable<string>): Promise<Map<string, KvEntry> | null> {
    const entries = new Map<string, KvEntry>();
    const missing = new Map<string, string>();
    // All keys are checked before the first one is looked up.
    const doing = "read the values";
    const subjects = checkIterable(keys, doing, "keys").map((key) =>
      [key, this.#stream.subjectOf(key, doing)] as const
    );
    for (const [key, subject] of subjects) {
      const held = this.#mirror?.get(subject);
      if (held) entries.set(key, new StoredEntry(key, "put", held));
      else if (held === undefined || this.#stream.foreignSubjectOf(key) !== null) missing.set(key, subject);
    }
    if (missing.size === 0) return entries;
    return await this.#stream.observe("getMany", async (call) => {
      for (const [key, message] of await this.#stream.newest(call, missing)) {
        if (operationOf(message) === "put") entries.set(key, new StoredEntry(key, "put", message));
      }
      return entries;
    });
  }

  /**
   * Stores a value, whatever is there. Objects go in as `JSON.stringify(value)` and come out by `entry.json()`.
   *
   * @returns The revision; `null` if it is not confirmed: without a connection nothing is stored, without an answer it may be.
   */
  async put(key: string, value: string | Uint8Array, options?: KvWriteOptions): Promise<number | null> {
    const write = this.#write(key, value, options, "store the value");
    return await this.#stream.observe("put", (call) => this.#writer.store(call, write));
  }

  /**
   * Stores the value of a key that has none.
   *
   * @returns The revision; `false` if the key has a value; `null` if it is not confirmed: then it may be stored.
   *
   * @example Only one of many processes does it
   * ```ts
   * import { kvBucket } from "@supercheck/jetstream";
   *
   * const locks = kvBucket("locks", { ttl: 60_000 });
   * const isMine = await locks.create("nightly-report", "me");
   * if (isMine) console.log("it is mine for a minute");
   * ```
   */
  async create(key: string, value: string | Uint8Array, options?: KvWriteOptions): Promise<number | false | null> {
    return await this.#guarded("create", 0, this.#write(key, value, options, "create the key"));
  }

  /**
   * Stores a value if the key still has the revision that was read before.
   *
   * @returns The new revision; `false` if somebody was faster; `null` if it is not confirmed: then it may be stored.
   */
  async update(
    key: string,
    value: string | Uint8Array,
    revision: number,
    options?: KvWriteOptions,
  ): Promise<number | false | null> {
    const write = this.#write(key, value, options, "update the value");
    if (!Number.isSafeInteger(revision) || revision < 1) {
      const rule = "must be a whole number ≥ 1 (create() is for keys without a value)";
      throw wrong(RangeError, `update the value as 'revision' ${rule}`, revision);
    }
    return await this.#guarded("update", revision, write);
  }

  /**
   * Deletes a key; its older revisions stay in the history.
   *
   * @returns `true`, whether it had a value or not; `null` if it is not confirmed.
   */
  delete(key: string): Promise<true | null>;
  /**
   * Deletes a key if it still has a revision.
   *
   * @returns `false` if somebody was faster; `null` if it is not confirmed: then it may be deleted.
   */
  delete(key: string, options: KvDeleteOptions): Promise<boolean | null>;
  async delete(key: string, options?: KvDeleteOptions): Promise<boolean | null> {
    return await this.#mark("delete", key, DELETE, options);
  }

  /**
   * Deletes a key with all its revisions.
   *
   * @returns `true`, whether it had a value or not; `null` if it is not confirmed.
   */
  purge(key: string): Promise<true | null>;
  /**
   * Deletes a key with all its revisions if it still has a revision.
   *
   * @returns `false` if somebody was faster; `null` if it is not confirmed: then it may be deleted.
   */
  purge(key: string, options: KvDeleteOptions): Promise<boolean | null>;
  async purge(key: string, options?: KvDeleteOptions): Promise<boolean | null> {
    return await this.#mark("purge", key, PURGE, options);
  }

  /**
   * The keys that have a value, each once.
   *
   * @param filter Which: `*` stands for one token between dots, `>` at the end for one or more; all else is literal.
   */
  keys(filter: string = ">"): AsyncIterable<string> {
    const subjects = this.#stream.subjectsOf(filter, "list the keys");
    const keyOf = (message: StoredMessage) =>
      operationOf(message) === "put" ? this.#stream.keyOf(message.subject) : null;
    return listNewest(this.#stream, subjects, keyOf, true);
  }

  /**
   * The entries of the keys that have a value, each key once.
   *
   * @param filter Which: `*` stands for one token between dots, `>` at the end for one or more; all else is literal.
   */
  entries(filter: string = ">"): AsyncIterable<KvEntry> {
    const subjects = this.#stream.subjectsOf(filter, "list the entries");
    return listNewest(this.#stream, subjects, (message) => this.#entry(message, true));
  }

  /** All revisions of a key that are kept, the oldest first, deletions among them. */
  history(key: string): AsyncIterable<KvEntry> {
    const subject = this.#stream.subjectOf(key, "read the history");
    return listAll(this.#stream, subject, (message) => new StoredEntry(key, operationOf(message), message));
  }

  /**
   * Follows the keys: first what is there, then each change. It goes on by itself after a reconnect, and when the bucket was made again; what was
   * written meanwhile comes then, the newest value of each key at least. It ends with the loop, with `signal`, and when the stores are closed.
   *
   * @param filter Which: `*` stands for one token between dots, `>` at the end for one or more; all else is literal.
   *
   * @example
   * ```ts
   * import { kvBucket } from "@supercheck/jetstream";
   *
   * const flags = kvBucket("flags");
   * if (await flags.put("dark-mode", "on")) {
   *   for await (const { key, operation } of flags.watch()) {
   *     console.log(key, operation);
   *     break;
   *   }
   * }
   * ```
   */
  watch(filter: string = ">", options?: KvWatchOptions): AsyncIterable<KvEntry> {
    const { ignoreDeletes = false, updatesOnly = false, includeHistory = false, initialized, signal } =
      checkKvWatchOptions(options);
    const from = updatesOnly ? "new" : includeHistory ? "all" : "last";
    const subjects = this.#stream.subjectsOf(filter, "watch the keys");
    return watchBucket(
      this.#stream,
      { filter: subjects, from, initialized, signal },
      (message) => this.#entry(message, ignoreDeletes),
    );
  }

  /**
   * The state of the bucket, and how it was made.
   *
   * @returns `null` if there is no such bucket, or without a connection.
   */
  async status(): Promise<KvStatus | null> {
    return await this.#stream.observe("status", async (call) => {
      const info = await this.#stream.info(call);
      return info && kvStatus(this.name, info);
    });
  }

  /**
   * Removes the bucket with all that is in it. The next write makes a new one.
   *
   * @returns `false` if there was none; `null` if it is not confirmed.
   */
  async destroy(): Promise<boolean | null> {
    const destroyed = await this.#stream.destroy();
    if (destroyed) this.#mirror?.distrust();
    return destroyed;
  }

  #entry(message: StoredMessage, onlyValues: boolean): KvEntry | null {
    const operation = operationOf(message);
    if (onlyValues && operation !== "put") return null;
    return new StoredEntry(this.#stream.keyOf(message.subject), operation, message);
  }

  #write(key: string, value: string | Uint8Array, options: KvWriteOptions | undefined, doing: string): KvWrite {
    return checkWrite(this.#stream.subjectOf(key, doing), value, options, doing);
  }

  #mark(
    name: "delete" | "purge",
    key: string,
    marker: Record<string, string>,
    options: KvDeleteOptions | undefined,
  ): Promise<boolean | null> {
    const doing = `${name} the key`;
    const subject = this.#stream.subjectOf(key, doing);
    const { revision } = checkKvDeleteOptions(options, doing);
    const guard = revision === undefined ? undefined : new Guard(revision);
    const write = { subject, value: "", ttl: undefined, marker, guard };
    return this.#stream.observe(name, (call) => this.#writer.mark(call, write));
  }

  #guarded(name: string, expected: number, write: KvWrite): Promise<number | false | null> {
    const guarded = { ...write, guard: new Guard(expected) };
    return this.#stream.observe(name, (call) => this.#writer.guarded(call, guarded));
  }
}
