import { Unavailable } from "../connection/unavailable.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { insist } from "../wire/insist.ts";
import type { Session } from "../wire/session.ts";
import { deleteMessage, streamInfo } from "../wire/streams.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { storeDeadLetter } from "./dead_letters.ts";
import type { Delivery } from "./delivery.ts";
import { findJobMessage } from "./find_job.ts";
import { EventSender, type JobEvent } from "./job_events.ts";
import type { PastRuns } from "./job_results.ts";
import { bytesOf, copyRoom } from "./job_size.ts";
import { type Move, moveJob } from "./move_job.ts";
import { callQueue, type QueueCall } from "./queue_call.ts";
import type { QueueParts } from "./queue_parts.ts";

/** Nothing is put off for longer than a hundred years. */
const MAX_DELAY = 100 * 365 * 86_400_000;

/**
 * Tells the server how runs end: each report is sent again, over reconnects, until it is confirmed or the job is not ours any more. A report that
 * has an answer gives `null` if there was none.
 */
export class RunReporter {
  readonly #parts: QueueParts;
  readonly #events: EventSender;
  /** The session, as long as it lasts. */
  #session: Session | null = null;
  #acknowledgements: Acknowledgements | null = null;
  /** The session over which the stream is known to be the one that was made at `#created`. */
  #sure: Session | null = null;
  #created = "";
  #maxPayload = Infinity;
  /** Whether the server has schedules: without them, jobs are not moved but handed back with a delay, and attempts are deliveries. */
  #moves = true;

  constructor(parts: QueueParts) {
    this.#parts = parts;
    this.#events = new EventSender(parts.names);
  }

  /**
   * Reports go over this session from now on.
   *
   * @param options How to listen to its end.
   */
  serve(session: Session, options: AddEventListenerOptions): void {
    this.#session = session;
    this.#moves = session.server.atLeast("2.12");
    this.#maxPayload = session.maxPayload;
    this.#acknowledgements = new Acknowledgements(session);
    session.signal.addEventListener("abort", () => this.#session = this.#acknowledgements = null, options);
  }

  /** Over this session serves the stream that was made then; what another one has handed out was released. */
  opened(session: Session, created: string): void {
    this.#sure = session;
    this.#created = created;
  }

  /** The stream may be another one by now. */
  unsure(): void {
    this.#sure = null;
  }

  /** The server's time in milliseconds. */
  now(): number {
    return this.#session?.now() ?? Date.now();
  }

  /**
   * Whether this process has reported the end of this message, or tried to.
   *
   * @param storedAt When it was stored, in nanoseconds, or as many digits of it as are known.
   */
  hasEnded(sequence: number, storedAt: string): boolean {
    return this.#parts.ended.has(sequence, storedAt);
  }

  /** Tells whoever listens what happens to a job. */
  tell({ token }: Delivery, type: JobEvent["type"], details?: Partial<JobEvent>): void {
    if (this.#session) this.#events.send(this.#session, token, type, details);
  }

  /** Takes the job's message off the queue, if it is still ours; tells whether that is confirmed. */
  async finish(delivery: Delivery): Promise<boolean> {
    const now = performance.now();
    if (now >= delivery.leaseUntil) return false;
    this.#parts.ended.remember(delivery);
    if (this.#acknowledgements && this.#sure === this.#session && !delivery.orphaned) {
      try {
        // The usual way, without the layers that only a failure needs.
        await this.#acknowledgements.send(delivery, now);
        return true;
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
      }
    }
    return await this.#confirm(delivery, ({ session, deadline }) => {
      if (!delivery.orphaned) return session.requests.request(delivery.ack, "+ACK", deadline);
      // The consumer that handed it out is gone: one made again would take the acknowledgement for another's.
      return deleteMessage(session, this.#parts.names.stream, delivery.sequence, deadline);
    });
  }

  /** Stores the dead letter, and only then takes the job off the queue. */
  async bury(delivery: Delivery, error: unknown, attempts: number): Promise<boolean> {
    const stored = await this.#confirm(delivery, (call) => storeDeadLetter(call, delivery, { error, attempts }));
    return stored && await this.finish(delivery);
  }

  /**
   * Whether a job is put back as a new message. Jobs with a key keep their place, since their order is the point, and so do foreign ones that leave no
   * room for the headers of a copy, and all where a copy could make the server remove another job.
   */
  movable(delivery: Delivery): boolean {
    if (!this.#moves || delivery.keyed) return false;
    // Limits may have been set since it was opened.
    if (this.#session) this.#parts.stream.opened(this.#session);
    const bytes = delivery.data.length + bytesOf(delivery.allHeaders.all) + copyRoom(delivery.subject);
    return bytes <= this.#maxPayload && this.#parts.stream.room.takesCopy(bytes);
  }

  /**
   * Puts a job back, for whoever is next: as a new message, or, if it has to keep its place, as it is, with what is known of its runs kept aside.
   *
   * @returns `false` if that is refused: a newer message of its id is there, or it was cancelled.
   */
  async putBack(delivery: Delivery, move: Move): Promise<boolean | null> {
    const { attempt, started = true, delay = 0 } = move;
    const wait = Math.min(delay, MAX_DELAY);
    if (this.movable(delivery)) {
      const moved = await this.#move(delivery, { ...move, delay: wait });
      // A tick is refused where a newer one waits, which is for its run to see.
      if (moved !== false || started || !delivery.tick) return moved;
    }
    if (attempt !== undefined && !await this.keepPastRuns(delivery, { attempts: attempt - 1, starts: 0 })) return null;
    delivery.handedBack = true;
    return await this.#handBack(delivery, wait > 0 ? `-NAK {"delay": ${Math.round(wait * 1e6)}}` : "-NAK") || null;
  }

  /**
   * Hands a job back as it is. That is sent once: the server would take a repeat for news of the next delivery, and hand the job out again while it
   * runs. If it got lost, the job is handed out again when its lease is over.
   */
  #handBack(delivery: Delivery, word: string): Promise<boolean> {
    let sent = false;
    return this.#confirm(delivery, async ({ session, deadline }) => {
      if (sent) return;
      sent = true;
      await session.requests.request(delivery.ack, word, deadline);
    });
  }

  /** Gives back what has not started, for whoever is next; it costs the job no attempt. */
  async giveBack(delivery: Delivery): Promise<boolean> {
    return await this.putBack(delivery, { started: false, deliveries: delivery.handedOut - 1 }) === true;
  }

  async #move(delivery: Delivery, move: Move): Promise<boolean | null> {
    const moved = await this.#insist(delivery, (call) => moveJob(call, delivery, move));
    return moved ? await this.finish(delivery) || null : moved;
  }

  /** Tells the server that the job is still worked on, which makes its lease begin anew. */
  async extend(delivery: Delivery): Promise<void> {
    const sent = performance.now();
    const extended = await this.#confirm(
      delivery,
      ({ session, deadline }) => session.requests.request(delivery.ack, "+WPI", deadline),
    );
    if (extended) delivery.extendTo(sent + delivery.lease);
  }

  /** Lets the server note since when the job is worked on: otherwise, should it restart, it counts the lease from when the message was stored. */
  touch(delivery: Delivery): void {
    const session = this.#session;
    if (session && session.now(delivery.receivedAt) - Number(delivery.storedAt.slice(0, -6)) > delivery.lease / 2) {
      session.send(delivery.ack, "+WPI");
    }
  }

  /** Keeps what the handler returned; tells whether that is confirmed. */
  async keepResult(delivery: Delivery, value: unknown, ttl: number): Promise<boolean> {
    const { results } = this.#parts;
    return await this.#confirm(delivery, (call) => results.storeResult(call, delivery.token, value, ttl));
  }

  /** What is known of earlier runs of a job that keeps its place. */
  async pastRuns(delivery: Delivery): Promise<PastRuns | undefined | null> {
    return await this.#insist(delivery, (call) => this.#parts.results.pastRuns(call, delivery));
  }

  /** Keeps what is known of them; tells whether that is confirmed. */
  async keepPastRuns(delivery: Delivery, runs: PastRuns): Promise<boolean> {
    return await this.#confirm(delivery, (call) => this.#parts.results.storePastRuns(call, delivery, runs));
  }

  /** Removes the message that a moved copy replaces, if whoever moved it did not come to that; tells whether it is gone. */
  async clearReplaced(delivery: Delivery): Promise<boolean> {
    const { stream } = this.#parts.names;
    const { replaces } = delivery.headers;
    if (replaces === undefined || replaces >= delivery.sequence) return true;
    return await this.#confirm(delivery, async ({ session, deadline }) => {
      const old = await leaderGet(session, stream, { seq: replaces }, deadline);
      if (old?.subject.endsWith(`.${delivery.token}`)) await deleteMessage(session, stream, replaces, deadline);
    });
  }

  /** Whether a newer message of the same id is in the queue. */
  async isSuperseded(delivery: Delivery): Promise<boolean | null> {
    return await this.#insist(delivery, async (call) => {
      const newest = await findJobMessage(call, delivery.token);
      return newest !== null && newest.sequence > delivery.sequence;
    });
  }

  async #confirm(delivery: Delivery, report: Report<unknown>): Promise<boolean> {
    return await this.#insist(delivery, report) !== null;
  }

  /** Reports for as long as the job is ours. */
  async #insist<R>(delivery: Delivery, report: Report<R>): Promise<R | null> {
    const timeout = delivery.leaseUntil - performance.now();
    if (timeout <= 0) return null;
    const untilAnswered = async (call: QueueCall) =>
      await this.#isSame(call) ? await insist(call.deadline, (deadline) => report({ ...call, deadline })) : null;
    return await callQueue(this.#parts, untilAnswered, { timeout, persist: true, patient: true });
  }

  /** Whether the stream is still the same: one that was made again counts from 1, and would take a report for one of another job's. */
  async #isSame({ session, deadline, names }: QueueCall): Promise<boolean> {
    if (session === this.#sure) return true;
    const info = await insist(deadline, (deadline) => streamInfo(session, names.stream, deadline));
    return info === null || info.created === this.#created;
  }
}

type Report<R> = (call: QueueCall) => Promise<R>;
