import type { Call } from "./call.ts";
import type { Msg } from "@nats-io/nats-core";
import { isNoResponders, Unavailable } from "../connection/unavailable.ts";
import { answerOrNoStream } from "./_answer_or_no_stream.ts";
import { apiError } from "./api.ts";
import { leaderGet } from "./leader_get.ts";
import { retryUntil } from "./retry_until.ts";
import type { PlaceData } from "../connection/nats/payload_places.ts";
import type { CollectOptions } from "./requests/requests.ts";
import { headerOf, lastHeaderOf, statusOf } from "../connection/nats/raw_headers.ts";
import type { Session } from "./session.ts";
import { DirectMessage, type StoredMessage } from "./stored_message.ts";
import { streamInfo } from "./streams.ts";
import { subjectRequests } from "./requests/subject_requests.ts";

/** Single gets that are under way at once where there are no batched ones: for several subjects, and for messages in a row. */
const IN_FLIGHT = 256;
const IN_A_ROW = 8;

/** Some messages of a subject filter. */
export interface PageQuery {
  /** The sequence to begin with. */
  seq: number;
  next_by_subj: string;
  /** How many at most. */
  batch: number;
  /** Bytes that each has at most, where they are known. */
  size?: number;
  /** Gives the memory where the data of a large one are to stay. Not all are asked for; a page that fails may still write there. */
  place?: PlaceData;
  /** Called with each message as it arrives, in their order; also with those of a page that fails later. */
  arrived?: (message: StoredMessage) => void;
}

/** What one batched get brought. */
interface Batch {
  messages: StoredMessage[];
  arrived: PageQuery["arrived"];
  /** Whether more match. */
  isCut: boolean;
  /** The reply that brought the last of them. */
  last?: Msg;
  /** The sequence as of which a replica has answered; `Infinity` where it has no message, and 0 where it was cut short. */
  upTo: number;
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
   * @param fromLeader Whether the leader answers: a replica may lag behind.
   * @param size Bytes that it has, where they are known.
   */
  last(call: Call, subject: string, fromLeader = false, size?: number): Promise<StoredMessage | null> {
    if (fromLeader || !this.#direct) return leaderGet(call, this.#stream, { last_by_subj: subject }, size);
    const bytes = call.session.incoming.one(this.#stream, size);
    if (call.session.incoming.tryTake(bytes)) return this.#last(call, subject, bytes, size);
    return call.session.incoming.take(bytes, call.deadline).then(() => this.#last(call, subject, bytes, size));
  }

  #last(call: Call, subject: string, bytes: number, size: number | undefined): Promise<StoredMessage | null> {
    // Without a body, which is the quickest.
    const question = { subject: call.session.subjects.api(`${this.#call}.${subject}`), payload: "", repeats: true };
    return this.#answered(call, call.session.requests.ask(question, call.deadline, stored)).then(
      (message) => this.#arrived(call.session, bytes, message, size),
      (error) => {
        call.session.incoming.give(bytes);
        return this.#unanswered(error, call, () => this.last(call, subject, false, size));
      },
    );
  }

  #arrived(session: Session, bytes: number, message: StoredMessage | null, size?: number): StoredMessage | null {
    session.incoming.give(bytes);
    if (message && size === undefined) session.incoming.note(this.#stream, message.data.length);
    return message;
  }

  /**
   * The newest message of each of the subjects that has one, in no order. It is asked for again when an answer seems to be lost, as long as there is
   * time.
   */
  async many(call: Call, subjects: string[]): Promise<StoredMessage[]> {
    const found: StoredMessage[] = [];
    for (const some of subjectRequests(subjects, call.session.maxPayload)) {
      found.push(
        ...await retryUntil(call, ({ deadline }) => this.#newest(call, some, deadline - performance.now())),
      );
    }
    return found;
  }

  /**
   * The newest message of each of the subjects that has one, with the sequence as of which they are: the lowest one, where it takes several requests.
   *
   * @returns `null` where the server gives no batches, or the stream does not allow direct gets.
   */
  async asOf(call: Call, subjects: string[]): Promise<{ messages: StoredMessage[]; upTo: number } | null> {
    const messages: StoredMessage[] = [];
    let upTo = Infinity;
    for (const some of subjectRequests(subjects, call.session.maxPayload)) {
      for (let rest = some; rest.length > 0;) {
        const batch = await retryUntil(
          call,
          ({ deadline }) =>
            this.#batch(call, { multi_last: rest, batch: rest.length }, { silence: deadline - performance.now() }),
        );
        if (batch === null) return await streamInfo(call, this.#stream) ? null : { messages, upTo };
        messages.push(...batch.messages);
        upTo = Math.min(upTo, batch.upTo);
        if (!batch.isCut || upTo === 0) break;
        const given = new Set(batch.messages.map(({ subject }) => subject));
        rest = rest.filter((subject) => !given.has(subject));
      }
    }
    return { messages, upTo };
  }

  /**
   * Messages of a subject filter from a sequence on, the oldest first: as many as the server gives at a time, none only if there are none.
   *
   * @param fromLeader Whether the leader answers: a replica may lag behind.
   */
  async page(
    call: Call,
    { size, place, arrived, ...query }: PageQuery,
    fromLeader = false,
  ): Promise<StoredMessage[]> {
    const batch = fromLeader ? null : await this.#batch(call, query, { size, place, arrived });
    if (batch) return batch.messages;
    const page: StoredMessage[] = [];
    for (let next = query.seq; page.length < query.batch;) {
      const gets = Array.from(
        { length: Math.min(IN_A_ROW, query.batch - page.length) },
        (_, i) => this.#next(call, { seq: next + i, next_by_subj: query.next_by_subj }, fromLeader),
      );
      for (const message of await Promise.all(gets)) {
        if (!message) return page;
        // One that lies beyond the next sequences is the answer to more than one.
        if (message.sequence < next) continue;
        page.push(message);
        arrived?.(message);
        next = message.sequence + 1;
      }
    }
    return page;
  }

  /** @param silence Milliseconds after which the next of the messages counts as lost. */
  async #newest(
    call: Call,
    subjects: string[],
    silence: number,
  ): Promise<StoredMessage[]> {
    const found: StoredMessage[] = [];
    for (let rest = subjects;;) {
      const batch = await this.#batch(call, { multi_last: rest, batch: rest.length }, { silence });
      if (!batch || (batch.isCut && batch.messages.length === 0)) {
        return [...found, ...await this.#oneByOne(call, rest)];
      }
      found.push(...batch.messages);
      if (!batch.isCut) return found;
      // Not those up to the same sequence: what was written again meanwhile would not be among them.
      const given = new Set(batch.messages.map(({ subject }) => subject));
      rest = rest.filter((subject) => !given.has(subject));
    }
  }

  async #oneByOne(call: Call, subjects: string[]): Promise<StoredMessage[]> {
    const found: (StoredMessage | null)[] = [];
    for (let i = 0; i < subjects.length; i += IN_FLIGHT) {
      const some = subjects.slice(i, i + IN_FLIGHT);
      found.push(...await Promise.all(some.map((subject) => this.last(call, subject))));
    }
    return found.filter((message) => message !== null);
  }

  /** The first message of a subject filter from a sequence on. */
  #next(
    call: Call,
    query: { seq: number; next_by_subj: string },
    fromLeader: boolean,
  ): Promise<StoredMessage | null> {
    if (fromLeader || !this.#direct) return leaderGet(call, this.#stream, query);
    const bytes = call.session.incoming.one(this.#stream);
    const question = { subject: call.session.subjects.api(this.#call), payload: JSON.stringify(query), repeats: true };
    return call.session.incoming.take(bytes, call.deadline).then(() =>
      this.#answered(call, call.session.requests.ask(question, call.deadline, stored)).then(
        (message) => this.#arrived(call.session, bytes, message),
        (error) => {
          call.session.incoming.give(bytes);
          return this.#unanswered(error, call, () => this.#next(call, query, fromLeader));
        },
      )
    );
  }

  /** Many messages by one request, within the connection's budget of bytes; `null` where that does not work. */
  async #batch(
    call: Call,
    query: { batch: number; [name: string]: unknown },
    { size, silence, place, arrived }: CollectOptions & Pick<PageQuery, "size" | "arrived">,
  ): Promise<Batch | null> {
    if (!this.#direct) return null;
    const bytes = call.session.incoming.several(this.#stream, query.batch, size);
    const batch: Batch = { messages: [], arrived, isCut: false, upTo: 0 };
    const take = (reply: Msg) => this.#takeOne(call.session, batch, reply, size === undefined);
    const body = JSON.stringify({ ...query, max_bytes: bytes });
    const subject = call.session.subjects.api(this.#call);
    // Where the stream is not of this server, replies may arrive after the answer has been given up.
    const options = { silence, ...(call.session.subjects.isOwn && { place }) };
    try {
      await call.session.incoming.during(
        bytes,
        call.deadline,
        () => this.#answered(call, call.session.requests.collect(subject, body, call.deadline, take, options)),
      );
      return batch;
    } catch (error) {
      if (!isNoResponders(error)) throw error;
      // No stream, or one without direct gets: a single get finds out, or, where that takes long, the stream's state.
      return call.session.subjects.isOwn || await streamInfo(call, this.#stream) ? null : batch;
    }
  }

  /** Takes one reply to a batched direct get; returns whether it was the last. */
  #takeOne(session: Session, batch: Batch, reply: Msg, isNoted: boolean): boolean {
    const { code, description } = statusOf(reply);
    if (code === 404) {
      // Servers before 2.15 stop so where one of many has just gone; where there is none at all they say "No Results".
      batch.isCut = description === "Message Not Found";
      if (!batch.isCut) batch.upTo = Infinity;
      return true;
    }
    if (code === 204) {
      batch.upTo = Number(headerOf(reply, "Nats-UpTo-Sequence") ?? 0);
      // What the end itself says is one too low for servers of 2.11.
      batch.isCut = batch.last !== undefined && Number(lastHeaderOf(batch.last, "Nats-Num-Pending") ?? 0) > 0;
      return true;
    }
    if (code !== 0) throw apiError({ code, description }, "a batched direct get");
    const message = new DirectMessage(batch.last = reply);
    if (isNoted) session.incoming.note(this.#stream, message.data.length);
    batch.messages.push(message);
    batch.arrived?.(message);
    return false;
  }

  /**
   * After a direct get without a responder: there is no such stream, it does not allow them, or (then the error stands) it has no leader now.
   */
  async #unanswered(
    error: unknown,
    call: Call,
    again: () => Promise<StoredMessage | null>,
  ): Promise<StoredMessage | null> {
    if (!isNoResponders(error)) throw error;
    const info = await streamInfo(call, this.#stream);
    if (!info) return null;
    this.#direct = info.config.allow_direct === true;
    if (this.#direct) throw error;
    return await again();
  }

  /** Waits for the answer to a direct get. */
  #answered<T>(call: Call, answer: Promise<T>): Promise<T> {
    if (call.session.subjects.isOwn) return answer;
    return answerOrNoStream(call, answer, async (call) => {
      const info = await streamInfo(call, this.#stream);
      return info?.config.allow_direct === true;
    });
  }
}

function stored(reply: Msg): StoredMessage | null {
  const { code, description } = statusOf(reply);
  if (code === 404) return null;
  if (code === 408) throw new Unavailable("no_leader", description);
  if (code !== 0) throw apiError({ code, description }, "a direct get");
  return new DirectMessage(reply);
}
