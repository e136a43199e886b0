import { MAX_TIMER } from "../checks.ts";
import { delay } from "../connection/delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { api } from "../wire/api.ts";
import { leaderGet } from "../wire/leader_get.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { deleteMessage } from "../wire/streams.ts";
import { readJobInfo } from "./find_job.ts";
import { parseJobHeaders } from "./job_headers.ts";
import { moveJob } from "./move_job.ts";
import type { QueueParts } from "./queue_parts.ts";
import type { ConsumerInfo } from "./durable_consumer.ts";
import { messageOf } from "./thrown.ts";

/** Milliseconds from one look to the next at least, however short the lease. */
const PAUSE = 1_000;

/** Milliseconds from the start of a session to the first look: workers remember what they have just ended. */
const FIRST = 500;

/** Milliseconds within which workers tell what they know. */
const ANSWER = 1_000;

/** Messages that are asked for at once. */
const TOGETHER = 32;

/** What a worker knows of a message: it has its job, or has ended it. */
export type MessageState = "held" | "ended";

/** Tells what a worker knows of the message of this sequence, stored at this time (milliseconds). */
export type StateOf = (sequence: number, storedAt: number) => MessageState | undefined;

/**
 * Looks after messages that belong to nobody: they are stored, but at or below the ack floor of their durable consumer, so the server takes them for
 * acknowledged and hands them out no more. There are two kinds. A purge by an exact subject, whoever makes it, moves the floor past jobs that nobody
 * has done. And a server that is stopped can note and confirm an acknowledgement, and keep the message: its job is done, but its id is taken.
 *
 * So all workers are asked. What one of them has is left alone, what one has ended is removed. What nobody knows, and was below the floor at the last
 * look as well, more than a lease ago, is brought back: rather twice than never. It runs twice if it is of the second kind and its worker is gone; if
 * its worker is cut off just when all are asked; or if that is of another client and needs longer than a lease. What has a key has lost its place.
 *
 * With replicas the server removes by itself what is below the floor, and later than it confirms: there it is left alone.
 */
export class JobRescue {
  readonly #parts: QueueParts;
  readonly #stateOf: StateOf;
  readonly #over: AbortSignal;
  #complaint = "";

  /** @param over Stops it. */
  constructor(parts: QueueParts, stateOf: StateOf, over: AbortSignal) {
    this.#parts = parts;
    this.#stateOf = stateOf;
    this.#over = over;
  }

  /** Looks now and then, and answers others who do, until the session ends. */
  serve(session: Session): void {
    // A connection that is just being closed takes no subscription.
    this.#serve(session).catch((error) => this.#failed(error));
  }

  async #serve(session: Session): Promise<void> {
    const signal = AbortSignal.any([session.signal, this.#over]);
    const listening = session.subscribe(this.#parts.names.known, (message) => {
      if (!message.reply) return;
      const asked = message.json<[sequence: number, storedAt: number][]>();
      session.send(message.reply, JSON.stringify(asked.map((one) => this.#stateOf(...one) ?? null)));
    }, (error) => this.#failed(error));
    let floors = new Map<string, number>();
    for (let pause = FIRST;;) {
      // At random, so that workers do not all look at once.
      await delay(Math.min(pause * (1 + Math.random()), MAX_TIMER), { signal, persistent: false });
      if (signal.aborted) break;
      try {
        const { lease, replicas } = await this.#parts.stream.open(session, this.#deadline);
        pause = Math.max(lease, PAUSE);
        await this.#serveKeys(session);
        if (replicas === 1) floors = await this.#look(session, floors);
      } catch (error) {
        this.#failed(error);
      }
    }
    listening.stop();
  }

  #failed(error: unknown): void {
    this.#complain(`Jobs of queue ${this.#parts.names.queue} that belong to no consumer are not found`, error);
  }

  /** The partitions are made by whoever publishes a job with a key. Another client does not, and jobs would be stored for nobody. */
  async #serveKeys(session: Session): Promise<void> {
    const { names, stream } = this.#parts;
    const query = { seq: 1, next_by_subj: names.keyed("*", "*") };
    const stray = await leaderGet(session, names.stream, query, this.#deadline);
    if (stray) await stream.openPartitions(session, this.#deadline);
  }

  /** @returns The ack floors of now, by durable consumer. */
  async #look(session: Session, last: Map<string, number>): Promise<Map<string, number>> {
    const { names } = this.#parts;
    const list = `CONSUMER.LIST.${names.stream}`;
    const { consumers } = await api<{ consumers: ConsumerInfo[] }>(session, list, undefined, this.#deadline);
    for (const { name, config, ack_floor } of consumers) {
      const floor = ack_floor.stream_seq;
      for (let seq = 1; seq <= floor;) {
        const strays = await this.#straysFrom(session, seq, floor, config.filter_subject);
        if (strays.length > 0) await this.#clear(session, strays, last.get(name) ?? 0);
        seq = strays.length < TOGETHER ? Infinity : strays[TOGETHER - 1].sequence + 1;
      }
    }
    return new Map(consumers.map(({ name, ack_floor }) => [name, ack_floor.stream_seq]));
  }

  async #straysFrom(session: Session, from: number, floor: number, filter: string): Promise<StoredMessage[]> {
    const strays: StoredMessage[] = [];
    for (let seq = from; strays.length < TOGETHER;) {
      const query = { seq, next_by_subj: filter };
      const stray = await leaderGet(session, this.#parts.names.stream, query, this.#deadline);
      if (!stray || stray.sequence > floor) break;
      strays.push(stray);
      seq = stray.sequence + 1;
    }
    return strays;
  }

  /** @param lastFloor Up to which they have belonged to nobody for long enough. */
  async #clear(session: Session, strays: StoredMessage[], lastFloor: number): Promise<void> {
    const states = await this.#ask(session, strays);
    for (const [i, stray] of strays.entries()) {
      if (states[i] === "ended") await this.#remove(session, stray, "had ended: its message was removed");
      else if (states[i] !== "held" && stray.sequence <= lastFloor) await this.#bringBack(session, stray);
    }
  }

  /** What the workers know. This one is among them: that nobody knows means something only if there is an answer. */
  async #ask(session: Session, strays: StoredMessage[]): Promise<(MessageState | null)[]> {
    const answers: (MessageState | null)[][] = [];
    const question = JSON.stringify(strays.map(({ sequence, time }) => [sequence, time.getTime()]));
    try {
      await session.requests.collect(this.#parts.names.known, question, performance.now() + ANSWER, (reply) => {
        answers.push(reply.json());
        return false;
      });
    } catch (error) {
      if (answers.length === 0 || !(error instanceof Unavailable && error.reason === "timeout")) throw error;
    }
    const of = (i: number, state: MessageState) => answers.some((answer) => answer[i] === state);
    return strays.map((_, i) => of(i, "ended") ? "ended" : of(i, "held") ? "held" : null);
  }

  /** Puts a job back where it was, as a new message: a second rescuer is refused, and so is one that comes after a cancel. */
  async #bringBack(session: Session, stray: StoredMessage): Promise<void> {
    const { names, stream } = this.#parts;
    const { subject, sequence, data } = stray;
    const { priority, enqueuedAt } = readJobInfo(stray, null);
    const token = subject.slice(subject.lastIndexOf(".") + 1);
    const allHeaders = parseJobHeaders(stray.headers());
    const job = { subject, token, priority, sequence, allHeaders, enqueuedAt, data };
    try {
      // It was handed out, so it may have started.
      if (!await moveJob({ session, deadline: this.#deadline, names, stream }, job, {})) return;
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      return this.#complain(`${this.#describe(stray)} cannot be put back`, error);
    }
    await this.#remove(session, stray, "was put back");
  }

  async #remove(session: Session, stray: StoredMessage, why: string): Promise<void> {
    const removed = await deleteMessage(session, this.#parts.names.stream, stray.sequence, this.#deadline);
    if (removed) this.#parts.context.logger.warn(`${this.#describe(stray)} ${why}`);
  }

  #describe(stray: StoredMessage): string {
    const { id } = readJobInfo(stray, null);
    return `Job ${id} of queue ${this.#parts.names.queue} belonged to no consumer, and`;
  }

  get #deadline(): number {
    return performance.now() + this.#parts.context.timeout;
  }

  /** Says once what will be the same at the next look. */
  #complain(what: string, error: unknown): void {
    const complaint = `${what}: ${messageOf(error)}`;
    if (error instanceof Unavailable || complaint === this.#complaint) return;
    this.#complaint = complaint;
    this.#parts.context.logger.warn(complaint);
  }
}
