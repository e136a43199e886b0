import type { Call } from "../wire/call.ts";
import { checkBoolean, wrongType } from "../checks.ts";
import type { AttemptOptions } from "../connection/attempts.ts";
import { checkOptions } from "../options.ts";
import type { Context } from "../wire/context.ts";
import type { QueueDepth } from "../telemetry/gauges.ts";
import { checkName } from "../wire/tokens.ts";
import type { JobEvent } from "./format/job_event.ts";
import { jsonText } from "./format/json_text.ts";
import { checkData } from "./format/job_schema.ts";
import { idToken, lookUpTokens, QueueNames } from "./format/queue_names.ts";
import type { JobQueue } from "./job_queue.ts";
import {
  cancelMatches,
  checkMatchOptions,
  discardMatches,
  type MatchCounts,
  type MatchOptions,
  redriveMatches,
} from "./manage/act_on_matches.ts";
import { cancelJob } from "./manage/cancel_job.ts";
import { checkReschedule, JobChange, type RescheduleOptions } from "./manage/change_job.ts";
import { destroyQueue } from "./manage/destroy_queue.ts";
import { countJobs, type JobCounts } from "./manage/job_counts.ts";
import { checkStartRate, type StartRate } from "./format/start_rate.ts";
import { limitRate } from "./manage/limit_rate.ts";
import { type ActiveLimits, checkLimits, limitActive } from "./manage/limit_active.ts";
import { jobList, listJobs, type ListJobsOptions } from "./manage/list_jobs.ts";
import { checkPause, pauseEnd, type PauseOptions, pauseQueue } from "./manage/pause_queue.ts";
import { promoteJob } from "./manage/promote_job.ts";
import { purgeJobs } from "./manage/purge_jobs.ts";
import { queueDepth } from "./manage/queue_depth.ts";
import {
  checkDeadLetterFilter,
  checkJobFilter,
  type DeadLetterFilter,
  isFilter,
  type JobFilter,
} from "./manage/job_filter.ts";
import { redriveById } from "./manage/redrive_job.ts";
import {
  checkScheduleOptions,
  listSchedules,
  prepareSchedule,
  removeSchedule,
  runSchedule,
  type ScheduleInfo,
  type ScheduleOptions,
  storeSchedule,
} from "./manage/schedules.ts";
import { listWorkers } from "./manage/list_workers.ts";
import type { WorkerInfo } from "./format/worker_info.ts";
import { checkWait, waitForJob, type WaitOptions } from "./manage/wait_for_job.ts";
import type { JobReceipt } from "./publish/job_receipt.ts";
import { JobPublisher } from "./publish/publish_job.ts";
import { MANY_OPTIONS, publishBatches, type PublishManyOptions } from "./publish/publish_many.ts";
import {
  checkEntry,
  checkPublishOptions,
  type PreparedJob,
  prepareJob,
  type PublishOptions,
} from "./publish/publish_options.ts";
import { listDeadLetters, type ListDeadLettersOptions, listedBefore } from "./store/dead_letter_list.ts";
import { type DeadLetter, discardDeadLetter, findDeadLetter, readDeadLetter } from "./store/dead_letters.ts";
import { ChangingJobs } from "./store/changing_jobs.ts";
import { EndedJobs } from "./store/ended_jobs.ts";
import { findJob, type JobInfo } from "./store/find_job.ts";
import { type EventsOptions, followEvents } from "./store/job_events.ts";
import { type JobProgress, JobResults } from "./store/job_results.ts";
import { callQueue, REMOVAL } from "./store/queue_call.ts";
import { checkQueueOptions, type QueueOptions } from "./store/queue_options.ts";
import type { QueueContext } from "./store/queue_context.ts";
import { QueueStream } from "./store/queue_stream.ts";
import { type ConsumeOptions, consumeSettings } from "./work/consume_options.ts";
import type { Job } from "./work/job.ts";
import { BATCH_OPTIONS, type BatchHandler, type BatchOptions, JobBatches } from "./work/job_batches.ts";
import { JobConsumer } from "./work/job_consumer.ts";
import { EachJobHandler } from "./work/job_handler.ts";

/** A {@linkcode JobQueue} over the connection of its stores. */
export class QueueHandle<Out = unknown, In = Out> implements JobQueue<Out, In> {
  readonly #parts: QueueContext<Out>;
  readonly #publisher: JobPublisher;

  constructor(context: Context, name: string, given?: QueueOptions<Out, In>) {
    checkName(name, "queue");
    const options = checkQueueOptions(given);
    const names = new QueueNames(name);
    const stream = new QueueStream(context, names, options);
    this.#parts = {
      context,
      names,
      stream,
      results: new JobResults(names, stream),
      ended: context.shared.of(EndedJobs, names.stream),
      changing: new ChangingJobs(),
      schema: options.schema,
      observed: { name, depth: () => this.#depth() },
    };
    this.#publisher = new JobPublisher(context, names, stream);
  }

  get name(): string {
    return this.#parts.names.queue;
  }

  async publish(data: In, options?: PublishOptions): Promise<JobReceipt | null> {
    const { context, names, observed, schema } = this.#parts;
    const job = prepareJob(names, data, checkPublishOptions(options));
    const send = (timeout?: number) =>
      context.telemetry.send(observed, [job], () => this.#publisher.publish(job, timeout));
    if (!schema) return await send();
    const began = performance.now();
    await checkData(schema, job.payload, "publish the job", context.timeout);
    return await send(Math.max(1, context.timeout - (performance.now() - began)));
  }

  async publishMany(
    jobs: readonly (PublishOptions & { data: In })[],
    options?: PublishManyOptions,
  ): Promise<(JobReceipt | null)[] | null> {
    const { atomic = false } = checkOptions(options, MANY_OPTIONS, "publish jobs");
    checkBoolean(atomic, "publish jobs", "atomic");
    if (!Array.isArray(jobs)) throw wrongType("publish jobs as 'jobs' must be an array", jobs);
    const { context, names, observed, schema } = this.#parts;
    const entries = Array.from(jobs, (entry) => checkEntry<In>(entry));
    const prepared = entries.map((entry) => prepareJob(names, entry.data, entry));
    if (atomic && prepared.some((job) => job.replaces)) {
      throw new TypeError(
        "Cannot publish jobs as 'atomic' must not come with 'replace' or 'debounce', which are stored one by one",
      );
    }
    if (schema) {
      await Promise.all(prepared.map(({ payload }) => checkData(schema, payload, "publish the job", context.timeout)));
    }
    return await context.telemetry.send(observed, prepared, () => this.#publishAll(prepared, atomic), true);
  }

  async #publishAll(jobs: readonly PreparedJob[], atomic: boolean): Promise<(JobReceipt | null)[] | null> {
    // What only the server knows is asked before the first one is sent, so that none is stored if one is wrong.
    const ready = await callQueue(
      this.#parts,
      (call) => this.#publisher.ready(call, jobs),
    );
    if (!ready) return null;
    const receipts = atomic
      ? await publishBatches(this.#parts, this.#publisher, ready)
      : await this.#publisher.publishAll(ready);
    return receipts.length > 0 && receipts.every((receipt) => receipt === null) ? null : receipts;
  }

  consume(handler: (job: Job<Out>) => unknown, options?: ConsumeOptions): JobConsumer<Out> {
    const settings = consumeSettings(handler, options);
    return new JobConsumer<Out>(this.#parts, settings, new EachJobHandler(this.#parts.context, handler));
  }

  consumeBatches(handler: BatchHandler<Out>, options?: BatchOptions): JobConsumer<Out> {
    const { size, wait, concurrency, ...others } = checkOptions(options, BATCH_OPTIONS, "consume batches");
    const batches = new JobBatches<Out>(this.#parts, handler, { size, wait, concurrency });
    const settings = consumeSettings(handler, { ...others, concurrency: batches.jobs });
    return new JobConsumer<Out>(this.#parts, settings, batches);
  }

  async open(): Promise<true | null> {
    const { stream } = this.#parts;
    return await callQueue(this.#parts, (call) => stream.openConsumers(call).then(() => true as const));
  }

  async get(id: string): Promise<JobInfo<In> | null> {
    return await this.#lookUp(id, "look the job up", (call, token) => findJob<In>(call, this.#parts, token));
  }

  jobs(options?: ListJobsOptions): AsyncGenerator<JobInfo<In>, void> {
    return listJobs<In>(this.#parts, jobList(this.#parts.names, options));
  }

  cancel(id: string): Promise<boolean | null>;
  cancel(filter: JobFilter, options?: MatchOptions): Promise<MatchCounts | null>;
  async cancel(which: string | JobFilter, options?: MatchOptions): Promise<boolean | MatchCounts | null> {
    if (isFilter(which)) {
      const doing = "cancel jobs";
      const filter = checkJobFilter(which, doing);
      return await cancelMatches(this.#parts, filter, checkMatchOptions(options, doing));
    }
    const known = { deleted: false };
    return await this.#lookUp(which, "cancel the job", (call, token) => cancelJob(call, this.#parts, token, known));
  }

  async promote(id: string): Promise<boolean | null> {
    const known = { unconfirmed: false };
    return await this.#lookUp(id, "promote the job", (call, token) => promoteJob(call, this.#parts, token, known));
  }

  async reschedule(id: string, options: RescheduleOptions): Promise<boolean | null> {
    const due = checkReschedule(options);
    // Counted from the first attempt on.
    let change: JobChange | undefined;
    return await this.#lookUp(id, "reschedule the job", (call, token) => {
      change ??= JobChange.ofMoment(typeof due === "number" ? call.session.now() + due : due?.getTime());
      return change.make(call, this.#parts, token);
    });
  }

  async update(id: string, data: In): Promise<boolean | null> {
    const { context, schema } = this.#parts;
    const payload = jsonText(data, "update the job", "data");
    if (schema) await checkData(schema, payload, "update the job", context.timeout);
    const change = JobChange.ofData(payload);
    return await this.#lookUp(id, "update the job", (call, token) => change.make(call, this.#parts, token));
  }

  async counts(): Promise<JobCounts | null> {
    return await callQueue(this.#parts, (call) => countJobs(call, this.#parts));
  }

  async #depth(): Promise<QueueDepth | null> {
    const counts = await this.counts();
    return counts && queueDepth(counts);
  }

  deadLetters(options?: ListDeadLettersOptions): AsyncGenerator<DeadLetter<In>, void> {
    return listDeadLetters<In>(this.#parts, listedBefore(options));
  }

  async deadLetter(id: string): Promise<DeadLetter<In> | null> {
    return await this.#lookUp(id, "look the dead letter up", async (call, token) => {
      const letter = await findDeadLetter(call, this.#parts.names, token);
      return letter && readDeadLetter<In>(letter);
    });
  }

  redrive(id: string | "all"): Promise<number | null>;
  redrive(filter: DeadLetterFilter, options?: MatchOptions): Promise<MatchCounts | null>;
  async redrive(
    which: string | DeadLetterFilter,
    options?: MatchOptions,
  ): Promise<number | MatchCounts | null> {
    if (isFilter(which)) {
      const doing = "redrive jobs";
      const filter = checkDeadLetterFilter(which, doing);
      return await redriveMatches(this.#parts, this.#publisher, filter, checkMatchOptions(options, doing));
    }
    if (which === "all") return (await redriveMatches(this.#parts, this.#publisher, {}, {}))?.done ?? null;
    const met = new Map<string, number>();
    const redrive = (call: Call, token: string) => redriveById(call, this.#parts, this.#publisher, token, met);
    const redriven = await this.#lookUp(which, "redrive the job", redrive);
    return redriven === null ? null : Number(redriven);
  }

  discard(id: string): Promise<boolean | null>;
  discard(filter: DeadLetterFilter, options?: MatchOptions): Promise<MatchCounts | null>;
  async discard(which: string | DeadLetterFilter, options?: MatchOptions): Promise<boolean | MatchCounts | null> {
    if (isFilter(which)) {
      const doing = "discard dead letters";
      const filter = checkDeadLetterFilter(which, doing);
      return await discardMatches(this.#parts, filter, checkMatchOptions(options, doing));
    }
    const { names } = this.#parts;
    const discard = (call: Call, token: string) => discardDeadLetter(call, names, token);
    return await this.#lookUp(which, "discard the dead letter", discard, REMOVAL);
  }

  async purge(): Promise<number | null> {
    return await callQueue(this.#parts, (call) => purgeJobs(call, this.#parts.names), REMOVAL);
  }

  async destroy(): Promise<boolean | null> {
    return await callQueue(this.#parts, (call) => destroyQueue(call, this.#parts), REMOVAL);
  }

  async progress<R = unknown>(id: string): Promise<JobProgress<R> | null> {
    const token = idToken(id, "load the progress");
    const last = await callQueue(this.#parts, (call) => this.#parts.results.progress(call, token));
    return last && { value: last.value as R, at: last.time };
  }

  async workers(): Promise<WorkerInfo[] | null> {
    return await callQueue(this.#parts, (call) => listWorkers(call, this.#parts.names));
  }

  async result<R = unknown>(id: string): Promise<{ value: R | undefined } | null> {
    const token = idToken(id, "load the result");
    const kept = await callQueue(this.#parts, (call) => this.#parts.results.result(call, token));
    return kept && { value: kept.value as R | undefined };
  }

  async waitFor<R = unknown>(id: string, options: WaitOptions): Promise<R | undefined> {
    const token = idToken(id, "wait for the job");
    return await waitForJob(this.#parts, token, checkWait(options)) as R | undefined;
  }

  events(options?: EventsOptions): AsyncGenerator<JobEvent, void> {
    return followEvents(this.#parts.context, this.#parts.names, options);
  }

  async schedule(id: string, given: ScheduleOptions<In>): Promise<true | null> {
    const { context, names, schema } = this.#parts;
    const options = checkScheduleOptions(given);
    const schedule = prepareSchedule(names, idToken(id, "keep the schedule"), options);
    if (schema) await checkData(schema, schedule.payload, "keep the schedule", context.timeout);
    return await this.#confirm((call) => storeSchedule(call, this.#parts, schedule));
  }

  async unschedule(id: string): Promise<boolean | null> {
    const token = idToken(id, "remove the schedule");
    return await callQueue(this.#parts, (call) => removeSchedule(call, this.#parts.names, token), REMOVAL);
  }

  schedules(): AsyncGenerator<ScheduleInfo<In>, void> {
    return listSchedules<In>(this.#parts);
  }

  async runNow(id: string): Promise<JobReceipt | null> {
    return await runSchedule(this.#parts, idToken(id, "run the schedule"));
  }

  async pause(until?: Date, options?: PauseOptions): Promise<true | null> {
    const end = pauseEnd(until);
    const which = checkPause(options, "pause the queue");
    return await this.#confirm((call) => pauseQueue(call, this.#parts, end, which));
  }

  async resume(options?: PauseOptions): Promise<true | null> {
    const which = checkPause(options, "resume the queue");
    return await this.#confirm((call) => pauseQueue(call, this.#parts, null, which));
  }

  async limitActive(limits: ActiveLimits): Promise<true | null> {
    checkLimits(limits);
    return await this.#confirm((call) => limitActive(call, this.#parts, limits));
  }

  async limitRate(rate: StartRate | null): Promise<true | null> {
    const checked = rate === null ? null : checkStartRate(rate, "limit the rate");
    return await this.#confirm((call) => limitRate(call, this.#parts, checked));
  }

  #confirm(operation: (call: Call) => Promise<unknown>): Promise<true | null> {
    return callQueue(this.#parts, (call) => operation(call).then(() => true as const));
  }

  /** Does something with the job, or the dead letter, of an id. */
  async #lookUp<R>(
    id: string,
    doing: string,
    operation: (call: Call, token: string) => Promise<R>,
    options?: Partial<AttemptOptions>,
  ) {
    const [token, tick] = lookUpTokens(id, doing);
    return await callQueue(this.#parts, async (call) => {
      const done = await operation(call, token);
      return done || tick === undefined ? done : await operation(call, tick);
    }, options);
  }
}
