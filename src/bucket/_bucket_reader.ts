import type { Call } from "../wire/call.ts";
import { delay } from "../delay.ts";
import { JetStreamStoreError } from "../errors.ts";
import { orElsePermission } from "../wire/api.ts";
import type { Consistency } from "./bucket_options.ts";
import type { KnownRevisions } from "./_known_revisions.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { type PageQuery, StreamReader } from "../wire/stream_reader.ts";
import { streamInfo } from "../wire/streams.ts";

/** Reads from the leader that are under way at once, for one call. */
const MAX_SUBJECTS_IN_FLIGHT = 64;

/** Milliseconds for which a server that was suspended may answer as the leader that it is no longer, and between two questions to it. */
const FORMER_LEADER_MS = { most: 2_000, pause: 50 };

/**
 * Reads the messages under a bucket so that a process sees what it has written, and never less than it has seen: any replica may answer, and where its
 * answer is older than what is known the leader is asked.
 */
export class BucketReader {
  readonly #stream: string;
  readonly #reader: StreamReader;
  readonly #known: KnownRevisions;
  readonly #leaderOnly: boolean;
  /** Where this user may not ask the leader. */
  #denied: Session | null = null;

  constructor(stream: string, known: KnownRevisions, consistency: Consistency) {
    this.#stream = stream;
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
    const follows = this.#known.follows(call.session);
    if (follows && fromLeader) return this.#ofLeader(call, subject);
    const message = this.#reader.last(call, subject, fromLeader);
    if (!follows) return message;
    return message.then((message) =>
      this.#isOlder(call.session, subject, message) ? this.#fromLeader(call, subject, message) : message
    );
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

  /** What the leader has. If that is less than was seen of the subject it counts only of a leader that has had all of that. */
  async #ofLeader(call: Call, subject: string): Promise<StoredMessage | null> {
    const begun = performance.now();
    for (let isCurrent = false;;) {
      const [known, remembered] = [this.#known.newest(subject), this.#known.remembered(subject)];
      const message = await this.#reader.last(call, subject, true);
      const sequence = message?.sequence ?? 0;
      if (isCurrent || sequence >= remembered) {
        this.#known.correct(subject, sequence, known);
        return message;
      }
      isCurrent = await this.#isCurrent(call, remembered, begun);
      if (!isCurrent) await delay(FORMER_LEADER_MS.pause);
    }
  }

  /** Whether the leader has had this sequence, or there is another stream than the one that had it. */
  async #isCurrent(call: Call, sequence: number, since: number): Promise<boolean> {
    const info = await orElsePermission(null, streamInfo(call, this.#stream));
    if (!info || info.state.last_seq >= sequence) return true;
    // No leader is a former one for that long: the stream was restored as it had been. A short deadline leaves time for an answer.
    const patience = Math.min(FORMER_LEADER_MS.most, (call.deadline - since) / 2);
    const isOther = info.created !== this.#known.created || performance.now() - since > patience;
    if (isOther) {
      this.#known.clear();
      this.#known.belongTo(info.created);
    }
    return isOther;
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
