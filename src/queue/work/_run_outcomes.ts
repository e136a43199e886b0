import { LimitedLog } from "../../connection/limited_log.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "../delivery/delivery.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import { DEFAULT_BACKOFF, retryDelay } from "../format/retry_backoff.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { hasNewerMessage } from "../store/newer_messages.ts";
import type { DeliveryCalls } from "../delivery/delivery_calls.ts";
import type { Admission, RunOutcome } from "../format/run_outcome.ts";
import type { RunReporter } from "./_run_reporter.ts";
import { readFailure } from "../format/thrown.ts";
import { messageOf } from "../../shown.ts";

/** Decides what becomes of a job after its run. Users' code and errors are asked once, the outcome is data that can be reported again. */
export class RunOutcomes {
  readonly #queue: QueueContext;
  readonly #settings: ConsumeSettings;
  readonly #reporter: RunReporter;
  readonly #calls: DeliveryCalls;
  readonly #log: LimitedLog;

  constructor(queue: QueueContext, settings: ConsumeSettings, reporter: RunReporter, calls: DeliveryCalls) {
    this.#queue = queue;
    this.#settings = settings;
    this.#reporter = reporter;
    this.#calls = calls;
    this.#log = new LimitedLog(queue.context.logger);
  }

  /** Of a job whose handler, or schema, has thrown: postponed, tried again, or dead. */
  failed(delivery: Delivery, { attempt, postponed }: Admission, error: unknown): RunOutcome {
    const { kind, reason, stack, delay } = readFailure(error);
    const { maxAttempts = this.#settings.maxAttempts } = delivery.headers;
    if (kind === "postponed") return { end: kind, move: { attempt, postponed: postponed + 1, delay }, reason };
    this.#reporter.sendEvent(delivery, "failed", { attempt, reason });
    if (kind === "unrecoverable" || attempt >= maxAttempts) return { end: "dead", reason, stack, attempts: attempt };
    const move = { attempt: attempt + 1, postponed, delay: this.#retryDelay(delivery, attempt, error) };
    return { end: "retried", move, reason };
  }

  /** Of data that no attempt helps: dead at once. */
  refused({ attempt }: Admission, problem: string): RunOutcome {
    const { reason } = readFailure(problem);
    return { end: "dead", reason, stack: undefined, attempts: attempt - 1 };
  }

  /** Reports an outcome; it may be reported again if that is not confirmed. */
  async report(delivery: Delivery, outcome: RunOutcome): Promise<RunEnd> {
    if (outcome.end === "completed") return await this.#complete(delivery, outcome.admission, outcome.value);
    if (outcome.end === "dead") return await this.#reporter.deadLetter(delivery, outcome, outcome.attempts);
    const { end, move, reason } = outcome;
    const back = await this.#reporter.putBack(delivery, move);
    if (back) {
      if (end === "retried") this.#reporter.sendEvent(delivery, end, { reason });
      return end;
    }
    // Not confirmed: the outcome is kept for the next delivery.
    if (back === null) return "released";
    // A newer tick of its schedule will run in its place.
    const superseded = await this.#calls.demand(
      delivery,
      "look-ups",
      (call) => hasNewerMessage(call, this.#queue.names, delivery),
    );
    if (superseded) return await this.#reporter.drop(delivery, "skipped");
    // Its message is gone: should a server that was killed have it back, it has ended here.
    if (superseded === false) {
      this.#queue.ended.remember(delivery);
      this.#queue.ended.forgetOutcome(delivery);
    }
    return "released";
  }

  /** A job whose handler has returned is completed, whether its result can be kept or not. */
  async #complete(delivery: Delivery, admission: Admission, value: unknown): Promise<RunEnd> {
    const { keepResult } = delivery.headers;
    const kept = keepResult === undefined || await this.#reporter.keepResult(delivery, value, keepResult);
    if (kept === null || !await this.#reporter.complete(delivery, admission)) return "released";
    if (kept === true) this.#reporter.sendEvent(delivery, "completed");
    else this.#reportUnkept(delivery, kept);
    return "completed";
  }

  #retryDelay({ headers }: Delivery, attempt: number, error: unknown): number {
    try {
      return retryDelay(headers.backoff ?? this.#settings.backoff, attempt, error);
    } catch (failure) {
      const what = `The 'backoff' function of queue ${this.#queue.names.queue} failed, its jobs wait as by default`;
      this.#warn(what, messageOf(failure));
      return retryDelay(DEFAULT_BACKOFF, attempt, error);
    }
  }

  #reportUnkept(delivery: Delivery, why: string): void {
    this.#reporter.sendEvent(delivery, "completed", { reason: `The result could not be kept: ${why}` });
    this.#warn(`Results of queue ${this.#queue.names.queue} are not kept, its jobs are completed all the same`, why);
  }

  /** Logs what would be the same for each job. */
  #warn(what: string, why: string): void {
    this.#log.warnNew(why, `${what}: ${why}`, what);
  }
}
