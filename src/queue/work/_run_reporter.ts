import type { Call } from "../../wire/call.ts";
import { backoff } from "../../connection/backoff.ts";
import { JetStreamStoreError } from "../../errors.ts";
import { bytesOf, copyRoom } from "../format/job_size.ts";
import type { Failure } from "../format/thrown.ts";
import type { Delivery } from "../delivery/delivery.ts";
import { storeDeadLetter } from "../store/dead_letters.ts";
import type { EventDetails, JobEvent } from "../format/job_event.ts";
import { EventSender } from "../store/job_events.ts";
import type { PastRuns } from "../store/job_results.ts";
import { removeCopy, removeReplaced } from "../store/newer_messages.ts";
import { type Move, moveJob } from "../store/move_job.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { Admission, RunMove } from "../format/run_outcome.ts";
import type { Acknowledger } from "../delivery/acknowledger.ts";
import type { DeliveryCalls } from "../delivery/delivery_calls.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import { isTooLarge } from "../delivery/error_kinds.ts";
import type { WorkerLog } from "../delivery/worker_log.ts";
import { messageOf } from "../../shown.ts";

/** Milliseconds after which a job is delivered again that could not be given back as a new message. */
const REFUSED_DELAY_MS = 1_000;

/** Milliseconds after which a job is delivered again that is too large to become a dead letter. */
const TOO_LARGE_DELAY_MS = { base: 1_000, max: 60_000 };

const NO_DETAILS: EventDetails = {};

/** No job is delayed for longer than a hundred years. */
const MAX_DELAY_MS = 100 * 365 * 86_400_000;

/** What a reporter works with. */
export interface ReportTools {
  readonly calls: DeliveryCalls;
  readonly acknowledger: Acknowledger;
  readonly log: WorkerLog;
}

/**
 * Tells the server how runs end: each report is sent again, over reconnects, until it is confirmed or the lease is lost. A report that has an answer
 * is `null` if there was none.
 */
export class RunReporter {
  readonly #queue: QueueContext;
  readonly #calls: DeliveryCalls;
  readonly #acknowledger: Acknowledger;
  readonly #log: WorkerLog;
  readonly #events: EventSender;

  constructor(queue: QueueContext, { calls, acknowledger, log }: ReportTools) {
    this.#queue = queue;
    this.#calls = calls;
    this.#acknowledger = acknowledger;
    this.#log = log;
    this.#events = new EventSender(queue.names);
  }

  /** The server's time in milliseconds. */
  now(): number {
    return this.#calls.now();
  }

  /** Sends an event of a job, and logs a failure. */
  sendEvent(delivery: Delivery, type: JobEvent["type"], details: EventDetails = NO_DETAILS): void {
    this.#log.event(delivery, type, details);
    const { session } = this.#calls;
    if (session) this.#events.send(session, delivery.token, type, details);
  }

  /** Acknowledges a job whose handler has returned. */
  async complete(delivery: Delivery, admission: Admission): Promise<boolean> {
    // A job without a result was tried before.
    const isTried = delivery.headers.keepResult === undefined;
    return await this.#end(delivery, isTried, () => this.#remember(delivery, admission, { end: "completed" }));
  }

  /**
   * Acknowledges a job that has ended. Where that takes more than one attempt, the server may have changed its leader or restarted, and have delivered the
   * job to another worker, which has moved it: the copy is removed, so that it does not run again.
   */
  async #end(delivery: Delivery, isTried: boolean, refused: () => Promise<unknown>): Promise<boolean> {
    if (!isTried && await this.#acknowledger.acknowledge(delivery)) return true;
    if (!await this.#acknowledger.finish(delivery, refused)) return false;
    try {
      await this.#calls.callWhileHeld(delivery, (call) => removeCopy(call, this.#queue.names, delivery));
    } catch (error) {
      if (!(error instanceof JetStreamStoreError)) throw error;
      this.#log.warn(delivery, "has ended, and may run again, as no copy of it can be looked for", error);
    }
    return true;
  }

  /** Acknowledges a job that is not to run. */
  async drop(delivery: Delivery, end: "skipped" | "expired"): Promise<RunEnd> {
    delivery.begun = true;
    delivery.skipped = end === "skipped";
    if (!await this.#acknowledger.finish(delivery)) return "released";
    if (end === "expired") this.sendEvent(delivery, end);
    return end;
  }

  /** Stores the dead letter, and only then acknowledges the job. */
  async deadLetter(delivery: Delivery, failure: Pick<Failure, "reason" | "stack">, attempts: number): Promise<RunEnd> {
    const { reason, stack } = failure;
    delivery.begun = true;
    const store = (call: Call) =>
      storeDeadLetter(call, this.#queue, delivery, { reason, stack, attempts }).then(() => true);
    const remember = () => this.#remember(delivery, { attempt: attempts + 1, postponed: 0 }, { end: "dead", reason });
    try {
      const stored = await this.#calls.persist(delivery, "dead letters", store, remember);
      if (!stored || !await this.#end(delivery, false, remember)) return "released";
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      // Nothing of the job may be lost: it stays in the queue, without another run, until its dead letter is taken.
      this.#log.warn(delivery, "cannot become a dead letter and stays in the queue", error);
      await remember();
      await this.#acknowledger.handBack(delivery, backoff(delivery.deliveries, TOO_LARGE_DELAY_MS));
      return "released";
    }
    this.sendEvent(delivery, "dead", { reason });
    return "dead";
  }

  /** Stores how a run ended whose end the server refuses, so that no other worker runs it again. The refusal is reported anyway. */
  async #remember(delivery: Delivery, { attempt, postponed }: Admission, ended: Partial<PastRuns>): Promise<void> {
    const runs = { attempts: attempt - 1, postponed, starts: 0, ...ended };
    const store = (call: Call) => this.#queue.results.storePastRuns(call, delivery, runs);
    await this.#calls.callWhileHeld(delivery, store).catch(() => {});
  }

  /**
   * Whether a job can be put back as a new message: not one with a key, whose order is the point, nor a foreign one that leaves no room for the headers of a copy, nor
   * where a copy could make the server remove another job.
   */
  movable(delivery: Delivery): boolean {
    if (delivery.keyed) return false;
    const { session } = this.#calls;
    const { stream } = this.#queue;
    // Limits may have been set since it was opened.
    if (session) stream.opened(session);
    const bytes = delivery.data.length + bytesOf(delivery.allHeaders.all) + copyRoom(delivery.subject);
    return bytes <= (session?.maxPayload ?? Infinity) && stream.room.takesCopy(bytes);
  }

  /**
   * Puts a job back after a run: as a new message, or, if it has to keep its place, as it is, with what is known of its runs stored beside it.
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
          (call) => moveJob(call, this.#queue.names, delivery, { attempt, postponed, delay, deliveries: 0 }),
          () => this.#remember(delivery, move, {}),
        );
        return moved ? await this.#acknowledger.finish(delivery) || null : moved;
      } catch (error) {
        // The server takes no message of this size any more, so the job keeps its place.
        if (!isTooLarge(error)) throw error;
      }
    }
    const runs = { attempts: attempt - 1, postponed, starts: 0 };
    const store = (call: Call) => this.#queue.results.storePastRuns(call, delivery, runs).then(() => true);
    if (!await this.#calls.persist(delivery, "results", store)) return null;
    // The next delivery is another run.
    this.#queue.ended.forgetOutcome(delivery);
    return await this.#acknowledger.handBack(delivery, delay);
  }

  /** Removes the message that a moved copy replaces, if the worker that moved it died before it could; returns whether it is known to be gone. */
  async clearReplaced(delivery: Delivery): Promise<boolean> {
    if (delivery.headers.replaces === undefined) return true;
    const clear = (call: Call) => removeReplaced(call, this.#queue.names, delivery).then(() => true);
    return await this.#calls.demand(delivery, "look-ups", clear) === true;
  }

  /** Puts a job that was redelivered back as a new message; `false` if that is refused. */
  async renew(delivery: Delivery, move: Move): Promise<boolean | null> {
    const moved = await this.#calls.demand(
      delivery,
      "moves",
      (call) => moveJob(call, this.#queue.names, delivery, move),
    );
    return moved ? await this.#acknowledger.finish(delivery) || null : moved;
  }

  /**
   * Gives back what has not started, for another worker; it costs the job neither an attempt nor a start. What the server refuses to take back is
   * delivered again when its lease is over.
   */
  async giveBack(delivery: Delivery): Promise<boolean> {
    const { ended } = this.#queue;
    const { sequence, storedAt } = delivery;
    // Its run has ended here, which its next delivery is to report: others would run it again.
    if (ended.has(sequence, storedAt) || ended.hasOutcome(sequence, storedAt)) return false;
    let delay = 0;
    if (!delivery.isUnsettled && this.movable(delivery)) {
      try {
        const moved = await this.#moveUnstarted(delivery);
        // A tick is refused where a newer one waits, which is for its run to see.
        if (moved !== false || !delivery.tick) return moved === true;
      } catch (error) {
        if (!(error instanceof JetStreamStoreError || isTooLarge(error))) throw error;
        delay = REFUSED_DELAY_MS;
      }
    }
    try {
      return await this.#acknowledger.handBackUnstarted(delivery, delay) === true;
    } catch (error) {
      if (!(error instanceof JetStreamStoreError)) throw error;
      return false;
    }
  }

  async #moveUnstarted(delivery: Delivery): Promise<boolean | null> {
    // Its copy names this message only.
    if (!await this.clearReplaced(delivery)) return null;
    const { deliveries, attemptDeliveries } = delivery;
    // Earlier deliveries of this message may have been starts, which the copy has to state.
    const past = deliveries > 1
      ? await this.#calls.demand(delivery, "results", (call) => this.#queue.results.pastRuns(call, delivery))
      : undefined;
    // What ended elsewhere, and could not be reported, keeps its message, by which that is known.
    if (past === null || past?.end !== undefined) return null;
    return await this.renew(delivery, {
      started: false,
      deliveries: attemptDeliveries - 1,
      ...(past && { attempt: past.attempts + 1, postponed: past.postponed, starts: past.starts }),
    });
  }

  /**
   * Keeps what the handler returned; where that is no JSON value, or too large, that the job is completed.
   *
   * @returns Why it cannot be kept, or `true`; `null` if that is not confirmed while the lease is held.
   */
  async keepResult(delivery: Delivery, value: unknown, ttl: number): Promise<true | string | null> {
    const { results } = this.#queue;
    const store = async (text?: string) => {
      const stored = (call: Call) => results.storeResult(call, delivery.token, text, ttl).then(() => true);
      return await this.#calls.demand(delivery, "results", stored) === true;
    };
    try {
      try {
        return await store(JSON.stringify(value) ?? "null") || null;
      } catch (error) {
        if (error instanceof JetStreamStoreError && !isTooLarge(error)) throw error;
        return await store() ? messageOf(error) : null;
      }
    } catch (error) {
      // The run has had its effect: a refusal, of the value or of the mark in its place, must not keep the job from being completed.
      if (error instanceof JetStreamStoreError) return error.message;
      throw error;
    }
  }
}
