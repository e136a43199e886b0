import type { Msg } from "@nats-io/nats-core";
import { Unavailable } from "../connection/unavailable.ts";
import { apiError } from "./api.ts";
import { leaderGet } from "./leader_get.ts";
import { firstTry, insist } from "./insist.ts";
import { lastHeaderOf, statusOf } from "./raw_headers.ts";
import type { Session } from "./session.ts";
import { DirectMessage, type StoredMessage } from "./stored_message.ts";
import { streamInfo } from "./streams.ts";

/** Subjects of one batched get: the server gives up at more than 1024 messages. */
const SUBJECTS = 1_000;

/** Single gets that are under way at once where there are no batched ones: for several subjects, and for messages in a row. */
const IN_FLIGHT = 256;
const IN_A_ROW = 8;

/** Bytes that one request may bring, about: a server cuts off who has more to come than it keeps for him (64 MiB), all requests together. */
const BYTES = 4 * 1024 * 1024;

/** Milliseconds after which the next of many messages counts as lost. */
const PATIENCE = 1_000;

const EMPTY = new Uint8Array(0);

/** Some messages of a subject filter. */
export interface PageQuery {
  /** The sequence to begin with. */
  seq: number;
  next_by_subj: string;
  /** How many at most. */
  batch: number;
}

/** What one batched get brought. */
interface Batch {
  messages: StoredMessage[];
  /** Whether more match. */
  isCut: boolean;
}

/**
 * Reads messages of one stream by request: by direct get from any replica (ADR-31), many at a time where the server can (2.11), and where the stream
 * does not allow it (`allow_direct: false`) from its leader. A stream that does not exist reads as empty.
 */
export class StreamReader {
  readonly #stream: string;
  readonly #call: string;
  /** Whether the stream allows direct gets, as far as is known. */
  #direct = true;

  constructor(stream: string) {
    this.#stream = stream;
    this.#call = `DIRECT.GET.${stream}`;
  }

  /**
   * The newest message on a subject.
   *
   * @param sure Whether the leader is asked: a replica may lag behind.
   */
  last(session: Session, subject: string, deadline: number, sure = false): Promise<StoredMessage | null> {
    if (sure || !this.#direct) return leaderGet(session, this.#stream, { last_by_subj: subject }, deadline);
    // Without a body, which is the quickest.
    return session.requests.ask(
      { subject: session.subjects.api(`${this.#call}.${subject}`), payload: EMPTY },
      firstTry(deadline),
      stored,
    )
      .catch((error) => this.#unanswered(error, session, deadline, () => this.last(session, subject, deadline)));
  }

  /**
   * The newest message of each of the subjects that has one, in no order. It is asked for again when an answer seems to be lost, as long as there is
   * time.
   */
  async many(session: Session, subjects: string[], deadline: number): Promise<StoredMessage[]> {
    const found: StoredMessage[] = [];
    for (const some of requestsOf(subjects, session.maxPayload)) {
      found.push(...await insist(deadline, () => this.#newest(session, some, deadline)));
    }
    return found;
  }

  /**
   * Messages of a subject filter from a sequence on, the oldest first: as many as the server gives at a time, none only if there are none.
   *
   * @param sure Whether the leader is asked: a replica may lag behind.
   */
  async page(session: Session, query: PageQuery, deadline: number, sure = false): Promise<StoredMessage[]> {
    const batch = sure ? null : await this.#batch(session, query, deadline);
    if (batch) return batch.messages;
    const page: StoredMessage[] = [];
    for (let next = query.seq; page.length < query.batch;) {
      const gets = Array.from(
        { length: Math.min(IN_A_ROW, query.batch - page.length) },
        (_, i) => this.#next(session, { seq: next + i, next_by_subj: query.next_by_subj }, deadline, sure),
      );
      for (const message of await Promise.all(gets)) {
        if (!message) return page;
        // One that lies beyond the next sequences is the answer to more than one.
        if (message.sequence < next) continue;
        page.push(message);
        next = message.sequence + 1;
      }
    }
    return page;
  }

  async #newest(session: Session, subjects: string[], deadline: number): Promise<StoredMessage[]> {
    const found: StoredMessage[] = [];
    for (let rest = subjects;;) {
      const batch = await this.#batch(session, { multi_last: rest, batch: rest.length }, deadline, PATIENCE);
      if (!batch || (batch.isCut && batch.messages.length === 0)) {
        return [...found, ...await this.#oneByOne(session, rest, deadline)];
      }
      found.push(...batch.messages);
      if (!batch.isCut) return found;
      // Not those up to the same sequence: what was written again meanwhile would not be among them.
      const given = new Set(batch.messages.map(({ subject }) => subject));
      rest = rest.filter((subject) => !given.has(subject));
    }
  }

  async #oneByOne(session: Session, subjects: string[], deadline: number): Promise<StoredMessage[]> {
    const found: StoredMessage[] = [];
    // How large they are shows when the first ones have come.
    let largest = BYTES / IN_A_ROW;
    for (let i = 0; i < subjects.length;) {
      const some = subjects.slice(i, i + Math.min(IN_FLIGHT, Math.ceil(BYTES / largest)));
      for (const message of await Promise.all(some.map((subject) => this.last(session, subject, deadline)))) {
        if (message) found.push(message);
      }
      largest = Math.max(1, ...found.slice(-some.length).map(({ data }) => data.length));
      i += some.length;
    }
    return found;
  }

  /** The first message of a subject filter from a sequence on. */
  #next(
    session: Session,
    query: { seq: number; next_by_subj: string },
    deadline: number,
    sure: boolean,
  ): Promise<StoredMessage | null> {
    if (sure || !this.#direct) return leaderGet(session, this.#stream, query, deadline);
    return session.requests.ask(
      { subject: session.subjects.api(this.#call), payload: JSON.stringify(query) },
      firstTry(deadline),
      stored,
    )
      .catch((error) => this.#unanswered(error, session, deadline, () => this.#next(session, query, deadline, sure)));
  }

  /** Many messages by one request; `null` where that does not work. */
  async #batch(session: Session, query: object, deadline: number, patience?: number): Promise<Batch | null> {
    if (!this.#direct || !session.server.atLeast("2.11")) return null;
    const batch: Batch = { messages: [], isCut: false };
    let last: Msg | undefined;
    const take = (reply: Msg) => {
      const { code, description } = statusOf(reply);
      if (code === 404) {
        // Servers before 2.15 stop so where one of many has just gone; where there is none at all they say "No Results".
        batch.isCut = description === "Message Not Found";
        return true;
      }
      if (code === 204) {
        // What the end itself says is one too low for servers of 2.11.
        batch.isCut = last !== undefined && Number(lastHeaderOf(last, "Nats-Num-Pending") ?? 0) > 0;
        return true;
      }
      if (code !== 0) throw apiError({ code, description }, "a batched direct get");
      batch.messages.push(new DirectMessage(last = reply));
      return false;
    };
    try {
      const body = JSON.stringify({ ...query, max_bytes: BYTES });
      await session.requests.collect(session.subjects.api(this.#call), body, deadline, take, patience);
      return batch;
    } catch (error) {
      // No stream, or one without direct gets: a single get finds out.
      if (error instanceof Unavailable && error.reason === "no_responders") return null;
      if (!isSilence(error, session)) throw error;
      const info = await streamInfo(session, this.#stream, deadline);
      if (!info) return batch;
      this.#direct = info.config.allow_direct === true;
      if (!this.#direct) return null;
      throw error;
    }
  }

  /**
   * After a direct get that was not answered in time, which is sent again; or that nobody serves: there is no such stream, it does not allow them, or
   * (then the error stands) it has no leader now.
   */
  async #unanswered(
    error: unknown,
    session: Session,
    deadline: number,
    again: () => Promise<StoredMessage | null>,
  ): Promise<StoredMessage | null> {
    if (!(error instanceof Unavailable)) throw error;
    const silence = isSilence(error, session);
    if (error.reason === "timeout" && !silence && performance.now() < deadline) return await again();
    if (error.reason !== "no_responders" && !silence) throw error;
    const info = await streamInfo(session, this.#stream, deadline);
    if (!info) return null;
    this.#direct = info.config.allow_direct === true;
    if (this.#direct && !silence) throw error;
    return await again();
  }
}

/** Whether the stream may be missing, as the JetStream of another domain or account does not say that nobody answers. */
function isSilence(error: unknown, { subjects }: Session): boolean {
  return error instanceof Unavailable && error.reason === "timeout" && !subjects.isOwn;
}

function stored(reply: Msg): StoredMessage | null {
  const { code, description } = statusOf(reply);
  if (code === 404) return null;
  if (code === 408) throw new Unavailable("no_leader", description);
  if (code !== 0) throw apiError({ code, description }, "a direct get");
  return new DirectMessage(reply);
}

/** Cuts subjects into requests that the server takes. */
function* requestsOf(subjects: string[], maxPayload: number): Generator<string[]> {
  // What surrounds the subjects in the request has less than 200 bytes, each subject has quotes and a comma.
  const room = maxPayload - 200;
  let some: string[] = [];
  let size = 0;
  for (const subject of subjects) {
    if (some.length === SUBJECTS || (some.length > 0 && size + subject.length + 3 > room)) {
      yield some;
      some = [];
      size = 0;
    }
    some.push(subject);
    size += subject.length + 3;
  }
  if (some.length > 0) yield some;
}
