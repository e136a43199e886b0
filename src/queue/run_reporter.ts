import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Session } from "../wire/session.ts";
import { deleteMessage } from "../wire/streams.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { storeDeadLetter } from "./dead_letters.ts";
import type { Delivery } from "./delivery.ts";
import type { DeliveryCalls } from "./delivery_calls.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import { EventSender, type JobEvent } from "./job_events.ts";
import { bytesOf, copyRoom } from "./job_size.ts";
import { type Move, moveJob } from "./move_job.ts";
import type { QueueParts } from "./queue_parts.ts";
import { type Failure, messageOf } from "./thrown.ts";

/** No job is delayed for longer than a hundred years. */
const MAX_DELAY_MS = 100 * 365 * 86_400_000;

/**
 * Tells the server how runs end: each report is sent again, over reconnects, until it is confirmed or the lease is lost. A report that has an answer
 * gives `null` if there was none.
 */
export class RunReporter {
  readonly #parts: QueueParts;
  readonly #calls: DeliveryCalls;
  readonly #told: Told;
  readonly #events: EventSender;
  #acknowledgements: Acknowledgements | null = null;
  #maxPayload = Infinity;
  /** Whether the server has schedules: without them, jobs are not moved but handed back with a delay. */
  #moves = true;

  /** @param told Called with each event, whether anybody listens or not. */
  constructor(parts: QueueParts, calls: DeliveryCalls, told: Told) {
    this.#parts = parts;
    this.#calls = calls;
    this.#told = told;
    this.#events = new EventSender(parts.names);
  }

  /**
   * Reports go over this session from now on.
   *
   * @param options How to listen to its end.
   */
  serve(session: Session, options: AddEventListenerOptions): void {
    this.#calls.serve(session, options);
    this.#moves = session.server.atLeast("2.12");
    this.#maxPayload = session.maxPayload;
    this.#acknowledgements = new Acknowledgements(session);
    session.signal.addEventListener("abort", () => this.#acknowledgements = null, options);
  }

  /** The server's time in milliseconds. */
  now(): number {
    return this.#calls.now();
  }

  /** Sends an event of a job. */
  tell(delivery: Delivery, type: JobEvent["type"], details: Partial<JobEvent> = {}): void {
    this.#told(delivery, type, details);
    const { session } = this.#calls;
    if (session) this.#events.send(session, delivery.token, type, details);
  }

  /** Acknowledges the job if its lease is held; tells whether that is confirmed. */
  async finish(delivery: Delivery): Promise<boolean> {
    if (this.#calls.doubt) await this.#calls.doubt;
    const now = performance.now();
    if (now >= delivery.leaseUntil) return false;
    this.#parts.ended.remember(delivery);
    if (this.#acknowledgements && this.#calls.isSure && !delivery.orphaned) {
      try {
        // The usual way, without the layers that only a failure needs.
        await this.#acknowledgements.send(delivery, now);
        return true;
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
      }
    }
    return await this.#calls.confirm(delivery, ({ session, deadline }) => {
      if (!delivery.orphaned) return session.requests.request(delivery.ack, "+ACK", deadline);
      // The consumer that delivered it is gone: one made again would take the acknowledgement for another's.
      return deleteMessage(session, this.#parts.names.stream, delivery.sequence, deadline);
    });
  }

  /** Acknowledges a job that is not to run. */
  async drop(delivery: Delivery, end: "skipped" | "expired"): Promise<RunEnd> {
    if (!await this.finish(delivery)) return "let_go";
    if (end === "expired") this.tell(delivery, end);
    return end;
  }

  /** Stores the dead letter, and only then acknowledges the job. */
  async bury(delivery: Delivery, failure: Pick<Failure, "reason" | "stack">, attempts: number): Promise<RunEnd> {
    const { reason, stack } = failure;
    const stored = await this.#calls.confirm(
      delivery,
      (call) => storeDeadLetter(call, delivery, { reason, stack, attempts }),
    );
    if (!stored || !await this.finish(delivery)) return "let_go";
    this.tell(delivery, "dead", { reason });
    return "dead";
  }

  /**
   * Whether a job is put back as a new message. Jobs with a key keep their place, since their order is the point, and so do foreign ones that leave no
   * room for the headers of a copy, and all where a copy could make the server remove another job.
   */
  movable(delivery: Delivery): boolean {
    if (!this.#moves || delivery.keyed) return false;
    // Limits may have been set since it was opened.
    if (this.#calls.session) this.#parts.stream.opened(this.#calls.session);
    const bytes = delivery.data.length + bytesOf(delivery.allHeaders.all) + copyRoom(delivery.subject);
    return bytes <= this.#maxPayload && this.#parts.stream.room.takesCopy(bytes);
  }

  /**
   * Puts a job back, for whoever is next: as a new message, or, if it has to keep its place, as it is, with what is known of its runs kept aside.
   *
   * @returns `false` if that is refused: a newer message of its id is there, or it was cancelled.
   */
  async putBack(delivery: Delivery, move: Move): Promise<boolean | null> {
    const { attempt, postponed = 0, starts = 0, started = true, delay = 0 } = move;
    const wait = Math.min(delay, MAX_DELAY_MS);
    if (this.movable(delivery)) {
      const moved = await this.#move(delivery, { ...move, delay: wait });
      // A tick is refused where a newer one waits, which is for its run to see.
      if (moved !== false || started || !delivery.tick) return moved;
    }
    if (attempt !== undefined) {
      const runs = { attempts: attempt - 1, postponed, starts };
      const kept = await this.#calls.confirm(
        delivery,
        (call) => this.#parts.results.storePastRuns(call, delivery, runs),
      );
      if (!kept) return null;
    }
    delivery.handedBack = true;
    return await this.#handBack(delivery, wait > 0 ? `-NAK {"delay": ${Math.round(wait * 1e6)}}` : "-NAK") || null;
  }

  /**
   * Hands a job back as it is. That is sent once: the server would take a repeat for news of the next delivery, and deliver the job again while it
   * runs. If it got lost, the job is delivered again when its lease is over.
   */
  #handBack(delivery: Delivery, word: string): Promise<boolean> {
    let sent = false;
    return this.#calls.confirm(delivery, async ({ session, deadline }) => {
      if (sent) return;
      sent = true;
      await session.requests.request(delivery.ack, word, deadline);
    });
  }

  /** Gives back what has not started, for whoever is next; it costs the job neither an attempt nor a start. */
  async giveBack(delivery: Delivery): Promise<boolean> {
    const { deliveries, handedOut } = delivery;
    // Earlier deliveries of this message may have been starts, which the copy has to tell.
    const past = deliveries > 1 && this.movable(delivery)
      ? await this.#calls.insist(delivery, (call) => this.#parts.results.pastRuns(call, delivery))
      : undefined;
    if (past === null) return false;
    const move = { started: false, deliveries: handedOut - 1, ...(past && { starts: past.starts }) };
    return await this.putBack(delivery, move) === true;
  }

  async #move(delivery: Delivery, move: Move): Promise<boolean | null> {
    const moved = await this.#calls.insist(delivery, (call) => moveJob(call, delivery, move));
    return moved ? await this.finish(delivery) || null : moved;
  }

  /** Tells the server that the job is still worked on, which makes its lease begin anew. */
  async extend(delivery: Delivery): Promise<void> {
    const sent = performance.now();
    const extended = await this.#calls.confirm(
      delivery,
      ({ session, deadline }) => session.requests.request(delivery.ack, "+WPI", deadline),
    );
    if (extended) delivery.extendTo(sent + delivery.lease);
  }

  /** Lets the server note since when the job is worked on: otherwise, should it restart, it counts the lease from when the message was stored. */
  touch(delivery: Delivery): void {
    const { session } = this.#calls;
    if (session && session.now(delivery.receivedAt) - delivery.storedTime > delivery.lease / 2) {
      session.send(delivery.ack, "+WPI");
    }
  }

  /**
   * Keeps what the handler returned; where that is no JSON value, or too large, that the job is completed.
   *
   * @returns Why it cannot be kept, or `true`; `null` if that is not confirmed while the lease is held.
   */
  async keepResult(delivery: Delivery, value: unknown, ttl: number): Promise<true | string | null> {
    const { results } = this.#parts;
    const store = (text?: string) =>
      this.#calls.confirm(delivery, (call) => results.storeResult(call, delivery.token, text, ttl));
    try {
      return await store(JSON.stringify(value) ?? "null") || null;
    } catch (error) {
      if (error instanceof JetStreamStoreError) return error.message;
      return await store() ? messageOf(error) : null;
    }
  }
}

/** Hears what happens to a job. */
type Told = (delivery: Delivery, type: JobEvent["type"], details: Partial<JobEvent>) => void;
