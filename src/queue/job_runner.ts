import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "./delivery.ts";
import { type Admission, JobAdmission } from "./job_admission.ts";
import type { JobBatches } from "./job_batches.ts";
import { type Job, RunningJob, type Workplace } from "./job.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import { readJobData } from "./job_data.ts";
import { applySchema } from "./job_schema.ts";
import { callQueue } from "./queue_call.ts";
import type { QueueParts } from "./queue_parts.ts";
import { DEFAULT_BACKOFF, retryDelay } from "./retry_backoff.ts";
import type { RunHistory } from "./run_history.ts";
import type { RunReporter } from "./run_reporter.ts";
import { MAX_REASON, messageOf, readFailure } from "./thrown.ts";

/** Milliseconds that a schema may take at most, within the timeout of the attempt. */
const SCHEMA_TIMEOUT_MS = 10_000;

/** Runs deliveries: decides whether a job is to be run, calls its handler, and has the end reported. */
export class JobRunner<T> {
  readonly #parts: QueueParts<T>;
  readonly #settings: ConsumeSettings;
  readonly #handler: (job: Job<T>) => unknown;
  readonly #reporter: RunReporter;
  readonly #history: RunHistory;
  readonly #admission: JobAdmission;
  readonly #batches: JobBatches<T> | undefined;
  readonly #workplace: Workplace;
  #lastWarning = "";

  constructor(
    parts: QueueParts<T>,
    settings: ConsumeSettings,
    handler: (job: Job<T>) => unknown,
    { reporter, history }: { reporter: RunReporter; history: RunHistory },
    batches?: JobBatches<T>,
  ) {
    this.#parts = parts;
    this.#settings = settings;
    this.#handler = handler;
    this.#reporter = reporter;
    this.#history = history;
    this.#admission = new JobAdmission(settings, reporter, history);
    this.#batches = batches;
    this.#workplace = {
      queue: parts.names.queue,
      maxAttempts: settings.maxAttempts,
      progress: (delivery, attempt, value) => this.#progress(delivery, attempt, value),
    };
  }

  /**
   * Runs a delivery to its reported end.
   *
   * @param handled Called when the handler has ended, before that is reported.
   */
  async run(delivery: Delivery, handled: (delivery: Delivery) => void): Promise<RunEnd | "given_back"> {
    const admission = this.#admission.isUsual(delivery) ? delivery.headers : await this.#admission.admit(delivery);
    if (typeof admission === "string") return admission;
    const began = performance.now();
    const data = await this.#readData(delivery, admission);
    if (typeof data === "string") return data;
    if (delivery.released) return "let_go";
    const job = new RunningJob<T>(delivery, this.#workplace, data.value, admission);
    if (this.#batches && !await this.#batches.join(job)) {
      return await this.#reporter.giveBack(delivery) ? "given_back" : "let_go";
    }
    this.#reporter.tell(delivery, "started", { attempt: admission.attempt });
    let value: unknown;
    try {
      const timeout = this.#timeoutOf(delivery);
      value = await (timeout === undefined ? this.#handler(job) : this.#callWithin(job, delivery, timeout, began));
    } catch (error) {
      handled(delivery);
      return delivery.ours ? await this.#fail(delivery, admission, error) : "let_go";
    }
    handled(delivery);
    return await this.#complete(delivery, value);
  }

  #timeoutOf({ headers }: Delivery): number | undefined {
    return headers.timeout ?? this.#settings.timeout;
  }

  /** The data as handlers get it, or how the delivery ended without. */
  async #readData(delivery: Delivery, admission: Admission): Promise<{ value: T } | RunEnd> {
    const { schema } = this.#parts;
    let data: unknown;
    try {
      data = readJobData(delivery.data);
    } catch (error) {
      return await this.#refuse(delivery, admission, `The job's body is not JSON: ${messageOf(error)}`);
    }
    if (!schema) return { value: data as T };
    try {
      const timeout = Math.min(this.#timeoutOf(delivery) ?? Infinity, SCHEMA_TIMEOUT_MS);
      const checked = await applySchema(schema, data, timeout);
      if (checked.issues === undefined) return checked;
      const reason = `The job's data does not fit the queue's schema: ${checked.issues}`;
      return await this.#refuse(delivery, admission, reason);
    } catch (error) {
      // The schema itself failed, which counts as an attempt.
      return await this.#fail(delivery, admission, error);
    }
  }

  /** Data that no attempt helps: a dead letter at once. */
  #refuse(delivery: Delivery, { attempt }: Admission, reason: string): Promise<RunEnd> {
    return this.#reporter.bury(delivery, { reason: reason.slice(0, MAX_REASON), stack: undefined }, attempt - 1);
  }

  /** @param began When the attempt began, by `performance.now()`: a job of a batch has its whole time from the batch's beginning. */
  async #callWithin(job: Job<T>, delivery: Delivery, timeout: number, began: number): Promise<unknown> {
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const left = this.#batches ? timeout : timeout - (performance.now() - began);
    const timer = setTimeout(() => {
      const error = new DOMException(`The attempt took longer than its ${timeout} ms`, "TimeoutError");
      delivery.abort(error);
      reject(error);
    }, Math.max(1, left));
    try {
      return await Promise.race([this.#handler(job), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A job that has run is completed, whether its result can be kept or not. */
  async #complete(delivery: Delivery, value: unknown): Promise<RunEnd> {
    const { keepResult } = delivery.headers;
    const kept = keepResult === undefined || await this.#reporter.keepResult(delivery, value, keepResult);
    if (kept === null || !await this.#reporter.finish(delivery)) return "let_go";
    if (kept === true) this.#reporter.tell(delivery, "completed");
    else {
      this.#reporter.tell(delivery, "completed", { reason: `The result could not be kept: ${kept}` });
      this.#warnOnce(
        `Results of queue ${this.#parts.names.queue} are not kept, its jobs are completed all the same: ${kept}`,
      );
    }
    return "completed";
  }

  async #fail(delivery: Delivery, { attempt, postponed }: Admission, error: unknown): Promise<RunEnd> {
    const failure = readFailure(error);
    const { kind, reason, delay } = failure;
    const { maxAttempts = this.#settings.maxAttempts } = delivery.headers;
    if (kind === "postponed") {
      return await this.#again(delivery, kind, { attempt, postponed: postponed + 1, delay });
    }
    this.#reporter.tell(delivery, "failed", { attempt, reason });
    if (kind === "unrecoverable" || attempt >= maxAttempts) {
      return await this.#reporter.bury(delivery, failure, attempt);
    }
    const next = { attempt: attempt + 1, postponed, delay: this.#retryDelay(delivery, attempt, error) };
    const end = await this.#again(delivery, "retried", next);
    if (end === "retried") this.#reporter.tell(delivery, end, { reason });
    return end;
  }

  #retryDelay({ headers }: Delivery, attempt: number, error: unknown): number {
    try {
      return retryDelay(headers.backoff ?? this.#settings.backoff, attempt, error);
    } catch (failure) {
      this.#warnOnce(
        `The 'backoff' function of queue ${this.#parts.names.queue} failed, its jobs wait as by default: ${
          messageOf(failure)
        }`,
      );
      return retryDelay(DEFAULT_BACKOFF, attempt, error);
    }
  }

  async #again(
    delivery: Delivery,
    end: "retried" | "postponed",
    move: { attempt: number; postponed: number; delay: number },
  ): Promise<RunEnd> {
    const back = await this.#reporter.putBack(delivery, { ...move, deliveries: 0 });
    if (back) return end;
    // A newer tick of its schedule will run in its place.
    const superseded = back === false && await this.#history.isSuperseded(delivery);
    return superseded ? await this.#reporter.drop(delivery, "skipped") : "let_go";
  }

  async #progress(delivery: Delivery, attempt: number, value: string): Promise<true | null> {
    this.#reporter.tell(delivery, "progress", { attempt, value: JSON.parse(value) });
    return await callQueue(
      this.#parts,
      (call) => this.#parts.results.storeProgress(call, delivery.token, value).then(() => true as const),
    );
  }

  /** Logs what would be the same for each job. */
  #warnOnce(warning: string): void {
    if (warning === this.#lastWarning) return;
    this.#lastWarning = warning;
    this.#parts.context.logger.warn(warning);
  }
}
