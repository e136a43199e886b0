import type { Logger } from "../connection/logger.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "./delivery.ts";
import type { RunReport } from "./ended_jobs.ts";
import type { Admission } from "./job.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import { DEFAULT_BACKOFF, retryDelay } from "./retry_backoff.ts";
import type { RunHistory } from "./run_history.ts";
import type { RunMove, RunReporter } from "./run_reporter.ts";
import { messageOf, readFailure } from "./thrown.ts";

/** Decides what becomes of a job after its run. All of users' code is called here once; the reports can be made again. */
export class RunOutcomes {
  readonly #queue: string;
  readonly #settings: ConsumeSettings;
  readonly #reporter: RunReporter;
  readonly #history: RunHistory;
  readonly #logger: Logger;
  #lastWarning = "";

  constructor(queue: string, settings: ConsumeSettings, reporter: RunReporter, history: RunHistory, logger: Logger) {
    this.#queue = queue;
    this.#settings = settings;
    this.#reporter = reporter;
    this.#history = history;
    this.#logger = logger;
  }

  /** A job whose handler has returned is completed, whether its result can be kept or not. */
  completed(admission: Admission, value: unknown): RunReport {
    return async (delivery) => {
      const { keepResult } = delivery.headers;
      const kept = keepResult === undefined || await this.#reporter.keepResult(delivery, value, keepResult);
      if (kept === null || !await this.#reporter.complete(delivery, admission)) return "let_go";
      if (kept === true) this.#reporter.tell(delivery, "completed");
      else this.#tellUnkept(delivery, kept);
      return "completed";
    };
  }

  /** A job whose handler, or schema, has thrown: postponed, tried again, or dead. */
  failed(delivery: Delivery, { attempt, postponed }: Admission, error: unknown): RunReport {
    const failure = readFailure(error);
    const { kind, reason, delay } = failure;
    const { maxAttempts = this.#settings.maxAttempts } = delivery.headers;
    if (kind === "postponed") {
      return (delivery) => this.#again(delivery, kind, { attempt, postponed: postponed + 1, delay });
    }
    this.#reporter.tell(delivery, "failed", { attempt, reason });
    if (kind === "unrecoverable" || attempt >= maxAttempts) {
      return (delivery) => this.#reporter.bury(delivery, failure, attempt);
    }
    const next = { attempt: attempt + 1, postponed, delay: this.#retryDelay(delivery, attempt, error) };
    return async (delivery) => {
      const end = await this.#again(delivery, "retried", next);
      if (end === "retried") this.#reporter.tell(delivery, end, { reason });
      return end;
    };
  }

  /** Data that no attempt helps: a dead letter at once. */
  refused({ attempt }: Admission, problem: string): RunReport {
    const { reason } = readFailure(problem);
    return (delivery) => this.#reporter.bury(delivery, { reason, stack: undefined }, attempt - 1);
  }

  async #again(delivery: Delivery, end: "retried" | "postponed", move: RunMove): Promise<RunEnd> {
    const back = await this.#reporter.putBack(delivery, move);
    if (back) return end;
    // A newer tick of its schedule will run in its place.
    const superseded = back === false && await this.#history.isSuperseded(delivery);
    return superseded ? await this.#reporter.drop(delivery, "skipped") : "let_go";
  }

  #retryDelay({ headers }: Delivery, attempt: number, error: unknown): number {
    try {
      return retryDelay(headers.backoff ?? this.#settings.backoff, attempt, error);
    } catch (failure) {
      this.#warnOnce(
        `The 'backoff' function of queue ${this.#queue} failed, its jobs wait as by default: ${messageOf(failure)}`,
      );
      return retryDelay(DEFAULT_BACKOFF, attempt, error);
    }
  }

  #tellUnkept(delivery: Delivery, why: string): void {
    this.#reporter.tell(delivery, "completed", { reason: `The result could not be kept: ${why}` });
    this.#warnOnce(`Results of queue ${this.#queue} are not kept, its jobs are completed all the same: ${why}`);
  }

  /** Logs what would be the same for each job. */
  #warnOnce(warning: string): void {
    if (warning === this.#lastWarning) return;
    this.#lastWarning = warning;
    this.#logger.warn(warning);
  }
}
