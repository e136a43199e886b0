import { JetStreamStoreError } from "../../errors.ts";
import { readJobData } from "../format/job_data.ts";
import { applySchema } from "../format/job_schema.ts";
import type { Capacity } from "../source/capacity.ts";
import type { Delivery } from "../delivery/delivery.ts";
import { callQueue } from "../store/queue_call.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { Admission, RunOutcome } from "../format/run_outcome.ts";
import type { Acknowledger } from "../delivery/acknowledger.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { DeliveryCalls } from "../delivery/delivery_calls.ts";
import { type RunContext, RunningJob } from "./job.ts";
import { JobAdmission } from "./_job_admission.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import type { JobHandler } from "./job_handler.ts";
import { RunOutcomes } from "./_run_outcomes.ts";
import type { MessageSurvey } from "../source/message_survey.ts";
import type { Permits } from "../source/permits.ts";
import { StaleFirings } from "./_stale_firings.ts";
import type { RunReporter } from "./_run_reporter.ts";
import type { RunRequirements } from "../delivery/run_requirements.ts";
import { messageOf } from "../../shown.ts";

/** Milliseconds that a schema may take at most, within the timeout of the attempt. */
const SCHEMA_TIMEOUT_MS = 10_000;

/** What a runner works with. */
export interface RunTools {
  readonly calls: DeliveryCalls;
  readonly requirements: RunRequirements;
  readonly acknowledger: Acknowledger;
  readonly reporter: RunReporter;
  readonly survey: MessageSurvey;
  readonly permits: Permits;
  readonly capacity: Capacity;
}

/** The worker whose deliveries are run. */
export interface RunListener {
  /** A handler has ended, which is not reported yet. */
  handled(delivery: Delivery): void;
}

/** The data of a job, and the milliseconds of its timeout that the schema took. */
interface CheckedData {
  readonly value: unknown;
  readonly spent: number;
}

/** A job that can run now, and the milliseconds of its timeout that the schema took. */
interface PreparedRun<T> {
  readonly job: RunningJob<T>;
  /** Not read from the job, which its handler can change. */
  readonly admission: Admission;
  readonly spent: number;
}

/** Runs deliveries: decides whether a job is to be run, calls its handler, and has the end reported. */
export class JobRunner<T> {
  readonly #queue: QueueContext<T>;
  readonly #settings: ConsumeSettings;
  readonly #handler: JobHandler<T>;
  readonly #tools: RunTools;
  readonly #listener: RunListener;
  readonly #admission: JobAdmission;
  readonly #outcomes: RunOutcomes;
  readonly #context: RunContext;

  constructor(
    queue: QueueContext<T>,
    settings: ConsumeSettings,
    handler: JobHandler<T>,
    tools: RunTools,
    listener: RunListener,
  ) {
    const { reporter, calls, survey } = tools;
    this.#queue = queue;
    this.#settings = settings;
    this.#handler = handler;
    this.#tools = tools;
    this.#listener = listener;
    this.#admission = new JobAdmission(queue, settings, { reporter, calls, stale: new StaleFirings(queue, survey) });
    this.#outcomes = new RunOutcomes(queue, settings, reporter, calls);
    this.#context = {
      queue: queue.names.queue,
      maxAttempts: settings.maxAttempts,
      progress: (delivery, attempt, value) => this.#progress(delivery, attempt, value),
    };
  }

  /** Runs a delivery to its reported end. */
  async run(delivery: Delivery): Promise<RunEnd | "given_back"> {
    const prepared = this.#prepareUsual(delivery) ?? await this.#prepare(delivery);
    if (typeof prepared === "string") {
      this.#tools.permits.unused(delivery);
      return prepared;
    }
    const { job, admission, spent } = prepared;
    const { reporter, acknowledger, capacity } = this.#tools;
    delivery.begun = true;
    capacity.handles(delivery);
    reporter.sendEvent(delivery, "started", { attempt: admission.attempt });
    const { context: { telemetry }, observed } = this.#queue;
    // A batch is observed as a whole.
    const run = delivery.observed = this.#handler.begin ? null : telemetry.process(observed, job);
    let value: unknown;
    try {
      const timeout = this.#timeoutOf(delivery);
      const result = run ? run.within(() => this.#handler.run(job)) : this.#handler.run(job);
      value = await (timeout === undefined ? result : this.#within(result, delivery, timeout, spent));
    } catch (error) {
      this.#listener.handled(delivery);
      // Without the lease its signal has aborted, which may be why it failed.
      const outcome = delivery.ours ? this.#outcomes.failed(delivery, admission, error) : null;
      if (outcome?.end !== "postponed") run?.failed(error);
      return outcome ? await this.#report(delivery, outcome) : "released";
    }
    this.#listener.handled(delivery);
    // The usual way, without what only a failure needs.
    if (delivery.headers.keepResult === undefined && await acknowledger.acknowledge(delivery)) {
      reporter.sendEvent(delivery, "completed");
      return "completed";
    }
    return delivery.ours ? await this.#report(delivery, { end: "completed", admission, value }) : "released";
  }

  /** Most jobs run without waiting for anything; `null` for one that has to. */
  #prepareUsual(delivery: Delivery): PreparedRun<T> | null {
    const { ended, schema } = this.#queue;
    if (schema || this.#handler.begin || ended.outcomeOf(delivery) || !this.#admission.isUsual(delivery)) return null;
    const needs = this.#admission.requirementsOf(delivery);
    if (!this.#tools.requirements.areMet(needs, delivery.startedAt) || delivery.released) return null;
    const data = this.#parse(delivery, delivery.headers);
    return "end" in data ? null : this.#prepared(delivery, delivery.headers, data);
  }

  /** Asks and stores what comes before a run. Returns how the delivery ended if it is not to run. */
  async #prepare(delivery: Delivery): Promise<PreparedRun<T> | RunEnd | "given_back"> {
    const kept = this.#queue.ended.outcomeOf(delivery);
    if (kept) return await this.#report(delivery, kept);
    const { requirements } = this.#tools;
    const needs = this.#admission.requirementsOf(delivery);
    if (!requirements.areMet(needs, delivery.startedAt) && !await requirements.meet(needs, delivery)) {
      return await this.#giveBack(delivery);
    }
    const admission = this.#admission.isUsual(delivery) ? delivery.headers : await this.#admit(delivery);
    if (typeof admission === "string") return admission;
    const parsed = this.#parse(delivery, admission);
    const data = this.#queue.schema && !("end" in parsed) ? await this.#check(delivery, admission, parsed) : parsed;
    if ("end" in data) return await this.#report(delivery, data);
    if (delivery.released) return "released";
    const prepared = this.#prepared(delivery, admission, data);
    if (this.#handler.begin && !await this.#handler.begin(prepared.job)) return await this.#giveBack(delivery);
    this.#tools.permits.started(delivery);
    return prepared;
  }

  #prepared(delivery: Delivery, admission: Admission, { value, spent }: CheckedData): PreparedRun<T> {
    return { job: new RunningJob<T>(delivery, this.#context, value as T, admission), admission, spent };
  }

  /** Reports an outcome. Until that is confirmed the outcome is kept: a later delivery of the job reports it in place of another run. */
  async #report(delivery: Delivery, outcome: RunOutcome): Promise<RunEnd> {
    const { ended } = this.#queue;
    delivery.begun = true;
    ended.keepOutcome(delivery, outcome);
    const end = await this.#outcomes.report(delivery, outcome);
    if (end !== "released") ended.forgetOutcome(delivery);
    return end;
  }

  async #giveBack(delivery: Delivery): Promise<"given_back" | "released"> {
    return await this.#tools.reporter.giveBack(delivery) ? "given_back" : "released";
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
  #parse(delivery: Delivery, admission: Admission): CheckedData | RunOutcome {
    try {
      return { value: readJobData(delivery.data), spent: 0 };
    } catch (error) {
      return this.#outcomes.refused(admission, `The job's body is not JSON: ${messageOf(error)}`);
    }
  }

  /** The data as the schema makes it, or the outcome without. */
  async #check(delivery: Delivery, admission: Admission, { value }: CheckedData): Promise<CheckedData | RunOutcome> {
    const began = performance.now();
    try {
      const timeout = Math.min(this.#timeoutOf(delivery) ?? Infinity, SCHEMA_TIMEOUT_MS);
      const checked = await applySchema(this.#queue.schema!, value, timeout);
      if (checked.issues === undefined) return { value: checked.value, spent: performance.now() - began };
      return this.#outcomes.refused(admission, `The job's data does not fit the queue's schema: ${checked.issues}`);
    } catch (error) {
      // The schema itself failed, which counts as an attempt.
      return this.#outcomes.failed(delivery, admission, error);
    }
  }

  /** @param spent Milliseconds of the attempt's timeout that its schema took. */
  async #within(result: unknown, delivery: Delivery, timeout: number, spent: number): Promise<unknown> {
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new DOMException(`The attempt took longer than its ${timeout} ms`, "TimeoutError");
      delivery.abort(error);
      reject(error);
    }, Math.max(1, timeout - spent));
    try {
      return await Promise.race([result, tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #progress(delivery: Delivery, attempt: number, value: string): Promise<true | null> {
    this.#tools.reporter.sendEvent(delivery, "progress", { attempt, value: JSON.parse(value) });
    return await callQueue(
      this.#queue,
      (call) => this.#queue.results.storeProgress(call, delivery.token, value).then(() => true as const),
    );
  }
}
