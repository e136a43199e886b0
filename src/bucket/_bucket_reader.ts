import type { Call } from "../wire/call.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Consistency } from "./bucket_options.ts";
import type { KnownRevisions } from "./_known_revisions.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { type PageQuery, StreamReader } from "../wire/stream_reader.ts";

/** Reads from the leader that are under way at once, for one call. */
const MAX_SUBJECTS_IN_FLIGHT = 64;

/**
 * Reads the messages under a bucket so that a process sees what it has written, and never less than it has seen: any replica may answer, and where its
 * answer is older than what is known the leader is asked.
 */
export class BucketReader {
  readonly #reader: StreamReader;
  readonly #known: KnownRevisions;
  readonly #leaderOnly: boolean;
  /** Where this user may not ask the leader. */
  #denied: Session | null = null;

  constructor(stream: string, known: KnownRevisions, consistency: Consistency) {
    this.#reader = new StreamReader(stream);
    this.#known = known;
    this.#leaderOnly = consistency === "leader";
  }

  /**
   * The newest message on a subject.
   *
   * @param fromLeader Whether the leader answers at once.
   */
  last(
    call: Call,
    subject: string,
    fromLeader: boolean = this.#leaderOnly,
  ): Promise<StoredMessage | null> {
    const message = this.#reader.last(call, subject, fromLeader);
    if (!this.#known.follows(call.session)) return message;
    if (!fromLeader) {
      return message.then((message) =>
        this.#isOlder(call.session, subject, message) ? this.#fromLeader(call, subject, message) : message
      );
    }
    const known = this.#known.newest(subject);
    return message.then((message) => {
      this.#known.correct(subject, message?.sequence ?? 0, known);
      return message;
    });
  }

  /**
   * The same for a subject that is written once: nothing is remembered of it, and an answer counts as it is.
   *
   * @param size Bytes that it has.
   */
  only(
    call: Call,
    subject: string,
    fromLeader: boolean,
    size: number,
  ): Promise<StoredMessage | null> {
    return this.#reader.last(call, subject, fromLeader, size);
  }

  /** The newest message of each of the subjects that has one, in no order. */
  async many(call: Call, subjects: string[]): Promise<StoredMessage[]> {
    if (this.#leaderOnly) return await this.#all(call, subjects);
    const found = await this.#reader.many(call, subjects);
    if (!this.#known.follows(call.session)) return found;
    const older = new Set(subjects.filter((subject) => this.#known.newest(subject) > 0));
    for (const { subject, sequence } of found) {
      if (sequence < this.#known.newest(subject)) continue;
      older.delete(subject);
      this.#known.read(call.session, subject, sequence);
    }
    if (older.size === 0) return found;
    const answers = new Map(found.map((message) => [message.subject, message]));
    for (const some of parts([...older], MAX_SUBJECTS_IN_FLIGHT)) {
      await Promise.all(some.map(async (subject) => {
        const newest = await this.#fromLeader(call, subject, answers.get(subject) ?? null);
        if (newest) answers.set(subject, newest);
        else answers.delete(subject);
      }));
    }
    return [...answers.values()];
  }

  /** {@linkcode StreamReader.asOf}. */
  asOf(call: Call, subjects: string[]): Promise<{ messages: StoredMessage[]; upTo: number } | null> {
    return this.#reader.asOf(call, subjects);
  }

  /**
   * Messages of a subject filter from a sequence on, the oldest first: as many as the server gives at a time, none only if there are none.
   *
   * @param fromLeader Whether the leader answers.
   */
  page(
    call: Call,
    query: PageQuery,
    fromLeader: boolean = this.#leaderOnly,
  ): Promise<StoredMessage[]> {
    return this.#reader.page(call, query, fromLeader);
  }

  /** Whether what a replica has answered is older than what is known; else it is what is known from now on. */
  #isOlder(session: Session, subject: string, message: StoredMessage | null): boolean {
    const sequence = message === null ? 0 : message.sequence;
    if (sequence < this.#known.newest(subject)) return true;
    if (sequence > 0) this.#known.read(session, subject, sequence);
    return false;
  }

  /** What the leader has, or what a replica has answered, where this user may not ask the leader. */
  async #fromLeader(
    call: Call,
    subject: string,
    answer: StoredMessage | null,
  ): Promise<StoredMessage | null> {
    if (this.#denied === call.session) return answer;
    try {
      return await this.last(call, subject, true);
    } catch (error) {
      if (!(error instanceof JetStreamStoreError && error.code === "permission")) throw error;
      this.#denied = call.session;
      return answer;
    }
  }

  /** The newest message of each subject from the leader, which gives no batches. */
  async #all(call: Call, subjects: string[]): Promise<StoredMessage[]> {
    const found: (StoredMessage | null)[] = [];
    for (const some of parts(subjects, MAX_SUBJECTS_IN_FLIGHT)) {
      found.push(...await Promise.all(some.map((subject) => this.last(call, subject, true))));
    }
    return found.filter((message) => message !== null);
  }
}

function* parts<T>(all: T[], size: number): Generator<T[]> {
  for (let i = 0; i < all.length; i += size) yield all.slice(i, i + size);
}
