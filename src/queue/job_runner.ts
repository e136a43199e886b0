import { JetStreamStoreError } from "../errors.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "./delivery.ts";
import type { DeliveryCalls } from "./delivery_calls.ts";
import type { RunReport } from "./ended_jobs.ts";
import { type Admission, type Job, RunningJob, type Workplace } from "./job.ts";
import { JobAdmission } from "./job_admission.ts";
import type { JobBatches } from "./job_batches.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import { readJobData } from "./job_data.ts";
import { applySchema } from "./job_schema.ts";
import { callQueue } from "./queue_call.ts";
import type { QueueParts } from "./queue_parts.ts";
import { RunHistory } from "./run_history.ts";
import { RunOutcomes } from "./run_outcomes.ts";
import type { RunReporter } from "./run_reporter.ts";
import { messageOf } from "./thrown.ts";

/** Milliseconds that a schema may take at most, within the timeout of the attempt. */
const SCHEMA_TIMEOUT_MS = 10_000;

/** What a runner works with. */
export interface RunTools {
  readonly reporter: RunReporter;
  readonly calls: DeliveryCalls;
}

/** Runs deliveries: decides whether a job is to be run, calls its handler, and has the end reported. */
export class JobRunner<T> {
  readonly #parts: QueueParts<T>;
  readonly #settings: ConsumeSettings;
  readonly #handler: (job: Job<T>) => unknown;
  readonly #tools: RunTools;
  readonly #admission: JobAdmission;
  readonly #outcomes: RunOutcomes;
  readonly #batches: JobBatches<T> | undefined;
  readonly #workplace: Workplace;

  constructor(
    parts: QueueParts<T>,
    settings: ConsumeSettings,
    handler: (job: Job<T>) => unknown,
    tools: RunTools,
    batches?: JobBatches<T>,
  ) {
    const { context: { logger }, names: { queue } } = parts;
    const { reporter, calls } = tools;
    const history = new RunHistory(parts, calls);
    this.#parts = parts;
    this.#settings = settings;
    this.#handler = handler;
    this.#tools = tools;
    this.#admission = new JobAdmission(settings, reporter, history);
    this.#outcomes = new RunOutcomes(queue, settings, reporter, history, logger);
    this.#batches = batches;
    this.#workplace = {
      queue,
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
    const kept = this.#parts.ended.takeReport(delivery);
    if (kept) return await this.#report(delivery, kept);
    const needs = this.#admission.requirementsOf(delivery);
    const { reporter, calls: { requirements } } = this.#tools;
    if (!requirements.areMet(needs) && !await requirements.meet(needs, delivery)) return await this.#giveBack(delivery);
    const admission = this.#admission.isUsual(delivery) ? delivery.headers : await this.#admit(delivery);
    if (typeof admission === "string") return admission;
    const began = performance.now();
    const data = await this.#readData(delivery, admission);
    if (typeof data === "function") return await this.#report(delivery, data);
    if (delivery.released) return "let_go";
    const job = new RunningJob<T>(delivery, this.#workplace, data.value, admission);
    if (this.#batches && !await this.#batches.join(job)) return await this.#giveBack(delivery);
    reporter.tell(delivery, "started", { attempt: admission.attempt });
    const report = await this.#handle(job, delivery, began);
    handled(delivery);
    // Without the lease its signal has aborted, which may be why it ended.
    return delivery.ours ? await this.#report(delivery, report(admission)) : "let_go";
  }

  /** Calls the handler; returns what makes the report of its end. */
  async #handle(job: Job<T>, delivery: Delivery, began: number): Promise<(admission: Admission) => RunReport> {
    try {
      const timeout = this.#timeoutOf(delivery);
      const value =
        await (timeout === undefined ? this.#handler(job) : this.#callWithin(job, delivery, timeout, began));
      return (admission) => this.#outcomes.completed(admission, value);
    } catch (error) {
      return (admission) => this.#outcomes.failed(delivery, admission, error);
    }
  }

  /** Reports an end. If that cannot be confirmed, the next delivery of the job reports it, in place of another run. */
  async #report(delivery: Delivery, report: RunReport): Promise<RunEnd> {
    let end: RunEnd = "let_go";
    try {
      return end = await report(delivery);
    } finally {
      if (end === "let_go") this.#parts.ended.keepReport(delivery, report);
    }
  }

  async #giveBack(delivery: Delivery): Promise<"given_back" | "let_go"> {
    return await this.#tools.reporter.giveBack(delivery) ? "given_back" : "let_go";
  }

  async #admit(delivery: Delivery): Promise<Admission | RunEnd | "given_back"> {
    try {
      return await this.#admission.admit(delivery);
    } catch (error) {
      if (!(error instanceof JetStreamStoreError)) throw error;
      return await this.#giveBack(delivery);
    }
  }

  #timeoutOf({ headers }: Delivery): number | undefined {
    return headers.timeout ?? this.#settings.timeout;
  }

  /** The data as handlers get it, or the report of why there is none. */
  async #readData(delivery: Delivery, admission: Admission): Promise<{ value: T } | RunReport> {
    const { schema } = this.#parts;
    let data: unknown;
    try {
      data = readJobData(delivery.data);
    } catch (error) {
      return this.#outcomes.refused(admission, `The job's body is not JSON: ${messageOf(error)}`);
    }
    if (!schema) return { value: data as T };
    try {
      const timeout = Math.min(this.#timeoutOf(delivery) ?? Infinity, SCHEMA_TIMEOUT_MS);
      const checked = await applySchema(schema, data, timeout);
      if (checked.issues === undefined) return checked;
      const problem = `The job's data does not fit the queue's schema: ${checked.issues}`;
      return this.#outcomes.refused(admission, problem);
    } catch (error) {
      // The schema itself failed, which counts as an attempt.
      return this.#outcomes.failed(delivery, admission, error);
    }
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

  async #progress(delivery: Delivery, attempt: number, value: string): Promise<true | null> {
    this.#tools.reporter.tell(delivery, "progress", { attempt, value: JSON.parse(value) });
    return await callQueue(
      this.#parts,
      (call) => this.#parts.results.storeProgress(call, delivery.token, value).then(() => true as const),
    );
  }
}
