import { Unavailable } from "../../connection/unavailable.ts";
import { JetStreamStoreError } from "../../errors.ts";
import type { Session } from "../../wire/session.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { storeDeadLetter } from "../store/dead_letters.ts";
import type { Delivery } from "../source/delivery.ts";
import type { DeliveryCall, DeliveryCalls } from "./delivery_calls.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import type { EventDetails, JobEvent } from "../format/job_event.ts";
import { EventSender } from "../store/job_events.ts";
import type { PastRuns } from "../store/job_results.ts";
import { bytesOf, copyRoom } from "../format/job_size.ts";
import { type Move, moveJob } from "../store/move_job.ts";
import type { QueueCall } from "../store/queue_call.ts";
import type { QueueParts } from "../store/queue_parts.ts";
import type { Admission, RunMove } from "../store/run_outcome.ts";
import { type Failure, messageOf } from "../format/thrown.ts";

/** Milliseconds after which a job is delivered again that could not be given back as a new message. */
const REFUSED_DELAY_MS = 1_000;

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
  /** Whether the server has schedules: without them, jobs are not moved but handed back with a delay. */
  moves = true;

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
    this.moves = session.server.atLeast("2.12");
    this.#acknowledgements = new Acknowledgements(session);
    session.signal.addEventListener("abort", () => this.#acknowledgements = null, options);
  }

  /** The server's time in milliseconds. */
  now(): number {
    return this.#calls.now();
  }

  /** Sends an event of a job. */
  tell(delivery: Delivery, type: JobEvent["type"], details: EventDetails = {}): void {
    this.#told(delivery, type, details);
    const { session } = this.#calls;
    if (session) this.#events.send(session, delivery.token, type, details);
  }

  /** Acknowledges the job over the present session, if its lease is held; tells whether that is confirmed. If not, it is to be repeated. */
  async acknowledge(delivery: Delivery): Promise<boolean> {
    if (this.#calls.doubt) await this.#calls.doubt;
    const now = performance.now();
    if (now >= delivery.leaseUntil) return false;
    this.#parts.ended.remember(delivery);
    if (!this.#acknowledgements || !this.#calls.isSure || delivery.orphaned) return false;
    try {
      await this.#acknowledgements.send(delivery, now);
      return true;
    } catch (error) {
      if (error instanceof Unavailable || error instanceof JetStreamStoreError) return false;
      throw error;
    }
  }

  /**
   * Acknowledges the job for as long as its lease is held; tells whether that is confirmed.
   *
   * @param refused Called at the first refusal.
   */
  async finish(delivery: Delivery, refused?: () => Promise<unknown>): Promise<boolean> {
    if (await this.acknowledge(delivery)) return true;
    return await this.#calls.persist(delivery, "acknowledgements", async ({ session, deadline }) => {
      if (!delivery.orphaned) return await session.requests.request(delivery.ack, "+ACK", deadline);
      // The consumer that delivered it is gone: one made again would take the acknowledgement for another's.
      return await deleteMessage(session, this.#parts.names.stream, delivery.sequence, deadline);
    }, refused) !== null;
  }

  /** Acknowledges a job whose handler has returned. */
  async complete(delivery: Delivery, admission: Admission): Promise<boolean> {
    return await this.finish(delivery, () => this.#remember(delivery, admission, { end: "completed" }));
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
    const store = (call: QueueCall) => storeDeadLetter(call, delivery, { reason, stack, attempts }).then(() => true);
    const refused = () => this.#remember(delivery, { attempt: attempts + 1, postponed: 0 }, { end: "dead", reason });
    const stored = await this.#calls.persist(delivery, "dead letters", store, refused);
    if (!stored || !await this.finish(delivery, refused)) return "let_go";
    this.tell(delivery, "dead", { reason });
    return "dead";
  }

  /** Keeps aside how a run ended whose end the server refuses, so that no other worker runs it again. As good as it can: the refusal is told anyway. */
  async #remember(delivery: Delivery, { attempt, postponed }: Admission, ended: Partial<PastRuns>): Promise<void> {
    const runs = { attempts: attempt - 1, postponed, starts: 0, ...ended };
    await this.#calls.insist(delivery, (call) => this.#parts.results.storePastRuns(call, delivery, runs)).catch(
      () => {},
    );
  }

  /**
   * Whether a job is put back as a new message. Jobs with a key keep their place, since their order is the point, and so do foreign ones that leave no
   * room for the headers of a copy, and all where a copy could make the server remove another job.
   */
  movable(delivery: Delivery): boolean {
    if (!this.moves || delivery.keyed) return false;
    // Limits may have been set since it was opened.
    if (this.#calls.session) this.#parts.stream.opened(this.#calls.session);
    const bytes = delivery.data.length + bytesOf(delivery.allHeaders.all) + copyRoom(delivery.subject);
    return bytes <= (this.#calls.session?.maxPayload ?? Infinity) && this.#parts.stream.room.takesCopy(bytes);
  }

  /**
   * Puts a job back after a run: as a new message, or, if it has to keep its place, as it is, with what is known of its runs kept aside.
   *
   * @returns `false` if that is refused: a newer message of its id is there, or it was cancelled.
   */
  async putBack(delivery: Delivery, move: RunMove): Promise<boolean | null> {
    const { attempt, postponed } = move;
    const delay = Math.min(move.delay, MAX_DELAY_MS);
    if (this.movable(delivery)) {
      try {
        const moved = await this.#calls.persist(
          delivery,
          "moves",
          (call) => moveJob(call, delivery, { attempt, postponed, delay, deliveries: 0 }),
          () => this.#remember(delivery, move, {}),
        );
        return moved ? await this.finish(delivery) || null : moved;
      } catch (error) {
        // The server takes no message of this size any more, so that the job keeps its place.
        if (!(error instanceof RangeError)) throw error;
      }
    }
    const runs = { attempts: attempt - 1, postponed, starts: 0 };
    const keep = (call: QueueCall) => this.#parts.results.storePastRuns(call, delivery, runs).then(() => true);
    return await this.#calls.persist(delivery, "results", keep) && await this.#handBack(delivery, delay);
  }

  /** Puts a job that was redelivered back as a new message; `false` if that is refused. */
  async renew(delivery: Delivery, move: Move): Promise<boolean | null> {
    const moved = await this.#calls.demand(delivery, "moves", (call) => moveJob(call, delivery, move));
    return moved ? await this.finish(delivery) || null : moved;
  }

  /**
   * Hands a job back as it is, after a run. That is sent once: the server would take a repeat for news of the next delivery, and deliver the job again
   * while it runs. If it got lost, the job is delivered again when its lease is over.
   */
  async #handBack(delivery: Delivery, delay: number): Promise<true | null> {
    const once = this.#handBackOnce(delivery, delay);
    return await this.#calls.persist<true>(delivery, "acknowledgements", once);
  }

  #handBackOnce(delivery: Delivery, delay: number): DeliveryCall<true> {
    const word = delay > 0 ? `-NAK {"delay": ${Math.round(delay * 1e6)}}` : "-NAK";
    let sent = false;
    delivery.handedBack = true;
    return async ({ session, deadline }) => {
      if (sent) return true;
      sent = true;
      try {
        await session.requests.request(delivery.ack, word, deadline);
      } catch (error) {
        // What was refused has not reached the server.
        if (error instanceof JetStreamStoreError) sent = false;
        throw error;
      }
      return true;
    };
  }

  /**
   * Gives back what has not started, for whoever is next; it costs the job neither an attempt nor a start. What the server refuses to take back is
   * delivered again when its lease is over.
   */
  async giveBack(delivery: Delivery): Promise<boolean> {
    const { ended } = this.#parts;
    const { sequence, storedAt } = delivery;
    // Its run has ended here, which its next delivery is to report: others would run it again.
    if (ended.has(sequence, storedAt) || ended.hasOutcome(sequence, storedAt)) return false;
    let delay = 0;
    if (this.movable(delivery)) {
      try {
        const moved = await this.#moveUnstarted(delivery);
        // A tick is refused where a newer one waits, which is for its run to see.
        if (moved !== false || !delivery.tick) return moved === true;
      } catch (error) {
        if (!(error instanceof JetStreamStoreError)) throw error;
        delay = REFUSED_DELAY_MS;
      }
    }
    try {
      return await this.#calls.demand(delivery, "acknowledgements", this.#handBackOnce(delivery, delay)) === true;
    } catch (error) {
      if (!(error instanceof JetStreamStoreError)) throw error;
      return false;
    }
  }

  async #moveUnstarted(delivery: Delivery): Promise<boolean | null> {
    const { deliveries, handedOut } = delivery;
    // Earlier deliveries of this message may have been starts, which the copy has to tell.
    const past = deliveries > 1
      ? await this.#calls.demand(delivery, "results", (call) => this.#parts.results.pastRuns(call, delivery))
      : undefined;
    // What ended elsewhere, and could not be reported, keeps its message, by which that is known.
    if (past === null || past?.end !== undefined) return null;
    return await this.renew(delivery, {
      started: false,
      deliveries: handedOut - 1,
      ...(past && { attempt: past.attempts + 1, postponed: past.postponed, starts: past.starts }),
    });
  }

  /** Tells the server that the job is still worked on, which makes its lease begin anew. */
  async extend(delivery: Delivery): Promise<void> {
    const sent = performance.now();
    const extended = await this.#calls.demand(
      delivery,
      "acknowledgements",
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
    const store = async (text?: string) => {
      const stored = (call: QueueCall) => results.storeResult(call, delivery.token, text, ttl).then(() => true);
      return await this.#calls.demand(delivery, "results", stored) === true;
    };
    try {
      try {
        return await store(JSON.stringify(value) ?? "null") || null;
      } catch (error) {
        if (error instanceof JetStreamStoreError) throw error;
        return await store() ? messageOf(error) : null;
      }
    } catch (error) {
      // The run has had its effect: a refusal, of the value or of the mark in its place, must not keep the job from being completed.
      if (error instanceof JetStreamStoreError) return error.message;
      throw error;
    }
  }
}

/** Hears what happens to a job. */
type Told = (delivery: Delivery, type: JobEvent["type"], details: EventDetails) => void;
