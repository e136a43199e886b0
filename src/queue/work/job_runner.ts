import { JetStreamStoreError } from "../../errors.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "../source/delivery.ts";
import type { DeliveryCalls } from "./delivery_calls.ts";
import { type Job, RunningJob, type Workplace } from "./job.ts";
import { JobAdmission } from "./job_admission.ts";
import type { JobBatches } from "./job_batches.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import { readJobData } from "../format/job_data.ts";
import { applySchema } from "../format/job_schema.ts";
import { callQueue } from "../store/queue_call.ts";
import type { QueueParts } from "../store/queue_parts.ts";
import type { Admission, RunOutcome } from "../store/run_outcome.ts";
import { RunOutcomes } from "./run_outcomes.ts";
import type { RunReporter } from "./run_reporter.ts";
import { messageOf } from "../format/thrown.ts";

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
    this.#parts = parts;
    this.#settings = settings;
    this.#handler = handler;
    this.#tools = tools;
    this.#admission = new JobAdmission(parts, settings, reporter, calls);
    this.#outcomes = new RunOutcomes(queue, settings, reporter, calls, logger);
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
    const kept = this.#parts.ended.takeOutcome(delivery);
    if (kept) return await this.#report(delivery, kept);
    const needs = this.#admission.requirementsOf(delivery);
    const { reporter, calls: { requirements } } = this.#tools;
    if (!requirements.areMet(needs, delivery.startedAt) && !await requirements.meet(needs, delivery)) {
      return await this.#giveBack(delivery);
    }
    const admission = this.#admission.isUsual(delivery) ? delivery.headers : await this.#admit(delivery);
    if (typeof admission === "string") return admission;
    let data = this.#parse(delivery, admission);
    let spent = 0;
    if (this.#parts.schema && !("end" in data)) {
      const began = performance.now();
      data = await this.#check(delivery, admission, data.value);
      spent = performance.now() - began;
    }
    if ("end" in data) return await this.#report(delivery, data);
    if (delivery.released) return "let_go";
    const job = new RunningJob<T>(delivery, this.#workplace, data.value as T, admission);
    if (this.#batches && !await this.#batches.join(job)) return await this.#giveBack(delivery);
    reporter.tell(delivery, "started", { attempt: admission.attempt });
    let value: unknown;
    try {
      const timeout = this.#timeoutOf(delivery);
      value = await (timeout === undefined ? this.#handler(job) : this.#callWithin(job, delivery, timeout, spent));
    } catch (error) {
      handled(delivery);
      // Without the lease its signal has aborted, which may be why it failed.
      return delivery.ours ? await this.#report(delivery, this.#outcomes.failed(delivery, admission, error)) : "let_go";
    }
    handled(delivery);
    // The usual way, without what only a failure needs.
    if (delivery.headers.keepResult === undefined && await reporter.acknowledge(delivery)) {
      reporter.tell(delivery, "completed");
      return "completed";
    }
    return delivery.ours ? await this.#report(delivery, { end: "completed", admission, value }) : "let_go";
  }

  /** Reports an outcome. If that cannot be confirmed, the next delivery of the job reports it, in place of another run. */
  async #report(delivery: Delivery, outcome: RunOutcome): Promise<RunEnd> {
    let end: RunEnd = "let_go";
    try {
      return end = await this.#outcomes.report(delivery, outcome);
    } finally {
      if (end === "let_go") this.#parts.ended.keepOutcome(delivery, outcome);
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

  /** The data of a job's body, or the outcome without. */
  #parse(delivery: Delivery, admission: Admission): { value: unknown } | RunOutcome {
    try {
      return { value: readJobData(delivery.data) };
    } catch (error) {
      return this.#outcomes.refused(admission, `The job's body is not JSON: ${messageOf(error)}`);
    }
  }

  /** The data as the schema makes it, or the outcome without. */
  async #check(delivery: Delivery, admission: Admission, data: unknown): Promise<{ value: unknown } | RunOutcome> {
    try {
      const timeout = Math.min(this.#timeoutOf(delivery) ?? Infinity, SCHEMA_TIMEOUT_MS);
      const checked = await applySchema(this.#parts.schema!, data, timeout);
      if (checked.issues === undefined) return checked;
      return this.#outcomes.refused(admission, `The job's data does not fit the queue's schema: ${checked.issues}`);
    } catch (error) {
      // The schema itself failed, which counts as an attempt.
      return this.#outcomes.failed(delivery, admission, error);
    }
  }

  /** @param spent Milliseconds of the attempt's timeout that its schema took. */
  async #callWithin(job: Job<T>, delivery: Delivery, timeout: number, spent: number): Promise<unknown> {
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new DOMException(`The attempt took longer than its ${timeout} ms`, "TimeoutError");
      delivery.abort(error);
      reject(error);
    }, Math.max(1, timeout - spent));
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
