import { Unavailable } from "../connection/unavailable.ts";
import type { Context } from "../wire/context.ts";
import { leaderGet } from "../wire/direct_get.ts";
import { insist } from "../wire/insist.ts";
import type { Session } from "../wire/session.ts";
import { deleteMessage } from "../wire/streams.ts";
import { storeDeadLetter } from "./dead_letters.ts";
import type { Delivery } from "./delivery.ts";
import type { PastRuns } from "./job_results.ts";
import { bytesOf, copyRoom } from "./job_size.ts";
import { type Move, moveJob } from "./move_job.ts";
import type { QueueNames } from "./queue_names.ts";
import type { QueueParts } from "./queue_parts.ts";

/** Ended jobs that are remembered, so that a redelivery after a lost confirmation is acknowledged and not run: this many, and as many before them. */
const MEMORY = 5_000;

/** Milliseconds after which an unanswered acknowledgement is sent again. */
const FIRST_TRY = 1_000;

/** Tells the server how runs end: each report is sent again, over reconnects, until it is confirmed or the job's lease is over. */
export class RunReporter {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #parts: QueueParts;
  /** When the messages of these sequences were stored. */
  #ended: Map<number, string> = new Map();
  #endedBefore: Map<number, string> = new Map();
  #session: Session | null = null;
  /** Whether the server has schedules: without them, jobs are not moved but handed back with a delay, and attempts are deliveries. */
  #moves = true;

  constructor(parts: QueueParts) {
    this.#context = parts.context;
    this.#names = parts.names;
    this.#parts = parts;
  }

  /** Reports go over this session from now on. */
  serve(session: Session): void {
    this.#session = session;
    this.#moves = session.server.atLeast("2.12");
  }

  /**
   * Whether a job is put back as a new message. Jobs with a key keep their place, since their order is the point, and so do foreign ones that leave no
   * room for the headers of a copy.
   */
  movable(delivery: Delivery): boolean {
    if (!this.#moves || delivery.keyed) return false;
    const size = delivery.data.length + bytesOf(delivery.headers.all) + copyRoom(delivery.subject);
    return size <= (this.#session?.maxPayload ?? Infinity);
  }

  /**
   * Whether this process has reported the end of this message, or tried to.
   *
   * @param storedAt When it was stored, in nanoseconds, or as many digits of it as are known.
   */
  hasEnded(sequence: number, storedAt: string): boolean {
    return (this.#ended.get(sequence) ?? this.#endedBefore.get(sequence))?.startsWith(storedAt) === true;
  }

  /** Takes the job's message off the queue, if it is still ours; tells whether that is confirmed. */
  finish(delivery: Delivery): Promise<boolean> {
    if (!delivery.ours) return Promise.resolve(false);
    this.#remember(delivery);
    const session = this.#session;
    if (!session || session.signal.aborted || delivery.orphaned) return this.#finishAgain(delivery);
    // The usual way, without the layers that only a failure needs.
    return session.requests.request(delivery.ack, "+ACK", this.#firstDeadline(delivery)).then(
      () => true,
      (error) => error instanceof Unavailable ? this.#finishAgain(delivery) : Promise.reject(error),
    );
  }

  #finishAgain(delivery: Delivery): Promise<boolean> {
    return this.#insist(delivery, (session, deadline) => {
      if (!delivery.orphaned) return session.requests.request(delivery.ack, "+ACK", deadline);
      // The consumer that handed it out is gone: one made again would take the acknowledgement for another's.
      return deleteMessage(session, this.#names.stream, delivery.sequence, deadline);
    });
  }

  /**
   * Puts a job back as a new message, and takes the old one off. `false`: a newer message of its id is there, or it was cancelled; `null`: that is not
   * confirmed.
   */
  async move(delivery: Delivery, move: Move): Promise<boolean | null> {
    let moved = false;
    const told = await this.#insist(delivery, async (session, deadline) => {
      moved = await moveJob(session, this.#names, delivery, move, deadline);
    });
    if (!told) return null;
    return moved && (await this.finish(delivery) || null);
  }

  /** Hands a job that is not movable back, for after a delay. */
  async handBack(delivery: Delivery, delay: number): Promise<boolean> {
    delivery.handedBack = true;
    return await this.#confirm(delivery, delay > 0 ? `-NAK {"delay": ${Math.round(delay * 1e6)}}` : "-NAK");
  }

  /** Tells the server that the job is still worked on, which makes its lease begin anew. */
  async extend(delivery: Delivery, lease: number): Promise<void> {
    const sent = performance.now();
    if (await this.#confirm(delivery, "+WPI")) delivery.leaseUntil = sent + lease;
  }

  /** Lets the server note since when the job is worked on: otherwise, should it restart, it counts the lease from when the message was stored. */
  touch(delivery: Delivery, lease: number): void {
    const session = this.#session;
    if (!session || session.signal.aborted) return;
    if (session.now(delivery.receivedAt) - Number(delivery.storedAt.slice(0, -6)) > lease / 2) {
      session.send(delivery.ack, "+WPI");
    }
  }

  /** Stores the dead letter, and only then takes the job off the queue. */
  async bury(delivery: Delivery, error: unknown, attempts: number): Promise<boolean> {
    const stored = await this.#insist(
      delivery,
      (session, deadline) =>
        storeDeadLetter(session, this.#names, this.#parts.stream, delivery, { error, attempts }, deadline),
    );
    return stored && await this.finish(delivery);
  }

  /** Keeps what the handler returned. */
  async keepResult(delivery: Delivery, value: unknown, ttl: number): Promise<boolean> {
    return await this.#insist(
      delivery,
      (session, deadline) => this.#parts.results.storeResult(session, delivery.token, value, ttl, deadline),
    );
  }

  /** What is known of earlier runs of a job that keeps its place; `null` if nobody can tell now. */
  async pastRuns(delivery: Delivery): Promise<PastRuns | null> {
    let past: PastRuns | null = null;
    await this.#insist(delivery, async (session, deadline) => {
      past = await this.#parts.results.pastRuns(session, delivery, deadline);
    });
    return past;
  }

  /** Keeps what is known of the runs of a job that keeps its place. */
  async keepPastRuns(delivery: Delivery, runs: PastRuns): Promise<boolean> {
    return await this.#insist(
      delivery,
      (session, deadline) => this.#parts.results.storePastRuns(session, delivery, runs, deadline),
    );
  }

  /** Removes the message that a moved copy replaces, if whoever moved it did not come to that. */
  async clearReplaced(delivery: Delivery): Promise<boolean> {
    const { stream } = this.#names;
    const { replaces } = delivery.headers;
    if (replaces === undefined || replaces >= delivery.sequence) return true;
    return await this.#insist(delivery, async (session, deadline) => {
      const old = await leaderGet(session, stream, { seq: replaces }, deadline);
      if (old?.subject.endsWith(`.${delivery.token}`)) await deleteMessage(session, stream, replaces, deadline);
    });
  }

  /** Whether a newer message of the same id is in the queue; `null` if nobody can tell now. */
  async isSuperseded(delivery: Delivery): Promise<boolean | null> {
    const last_by_subj = this.#names.idFilter(delivery.token);
    let superseded = false;
    const told = await this.#insist(delivery, async (session, deadline) => {
      const newest = await leaderGet(session, this.#names.stream, { last_by_subj }, deadline);
      superseded = newest !== null && newest.sequence > delivery.sequence;
    });
    return told ? superseded : null;
  }

  #confirm(delivery: Delivery, word: string): Promise<boolean> {
    return this.#insist(delivery, (session, deadline) => session.requests.request(delivery.ack, word, deadline));
  }

  #firstDeadline(delivery: Delivery): number {
    return Math.min(delivery.leaseUntil, performance.now() + FIRST_TRY);
  }

  /** Reports for as long as the job is ours; tells whether it is confirmed. */
  async #insist(
    delivery: Delivery,
    report: (session: Session, deadline: number) => Promise<unknown>,
  ): Promise<boolean> {
    const timeout = delivery.leaseUntil - performance.now();
    if (timeout <= 0) return false;
    const done = await this.#context.connection.attempt(
      (session, deadline) => insist(deadline, (deadline) => report(session, deadline)).then(() => true),
      { timeout, persist: true, patient: true },
    );
    return done !== null;
  }

  #remember(delivery: Delivery): void {
    this.#ended.set(delivery.sequence, delivery.storedAt);
    if (this.#ended.size < MEMORY) return;
    this.#endedBefore = this.#ended;
    this.#ended = new Map();
  }
}
