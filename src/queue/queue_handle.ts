import type { Call } from "../wire/call.ts";
import { checkBoolean, wrongType } from "../checks.ts";
import type { AttemptOptions } from "../connection/attempts.ts";
import { checkOptions } from "../options.ts";
import { rejecting } from "../rejecting.ts";
import type { Context } from "../wire/context.ts";
import type { QueueDepth } from "../telemetry/gauges.ts";
import { checkName } from "../wire/tokens.ts";
import { jsonText } from "./format/json_text.ts";
import { checkData, type JobSchema } from "./format/job_schema.ts";
import { lookUpTokens, QueueNames } from "./format/queue_names.ts";
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
import { jobList, listJobs, type ListJobsOptions } from "./manage/list_jobs.ts";
import { promoteJob } from "./manage/promote_job.ts";
import { queueDepth } from "./manage/queue_depth.ts";
import {
  checkDeadLetterFilter,
  checkJobFilter,
  type DeadLetterFilter,
  isFilter,
  type JobFilter,
} from "./manage/job_filter.ts";
import { redriveById, type Redriven } from "./manage/redrive_job.ts";
import type { JobReceipt } from "./publish/job_receipt.ts";
import { JobPublisher } from "./publish/publish_job.ts";
import { withdraw } from "./publish/store_copy.ts";
import { MANY_OPTIONS, publishBatches, type PublishManyOptions } from "./publish/publish_many.ts";
import {
  checkEntry,
  checkPublishOptions,
  type PreparedJob,
  prepareJob,
  type PublishOptions,
} from "./publish/publish_options.ts";
import { listDeadLetters, type ListDeadLettersOptions, listedBefore } from "./manage/list_dead_letters.ts";
import { type DeadLetter, discardDeadLetter, findDeadLetter, readDeadLetter } from "./store/dead_letters.ts";
import { ChangingJobs } from "./store/changing_jobs.ts";
import { EndedJobs } from "./store/ended_jobs.ts";
import { findJob, type JobInfo } from "./store/find_job.ts";
import { JobResults } from "./store/job_results.ts";
import { callQueue, CHANGE, REMOVAL } from "./store/queue_call.ts";
import { checkQueueOptions, type QueueOptions } from "./store/queue_options.ts";
import type { QueueContext } from "./store/queue_context.ts";
import { QueueStream } from "./store/queue_stream.ts";
import { type ConsumeOptions, consumeSettings } from "./work/consume_options.ts";
import type { Job } from "./work/job.ts";
import { BATCH_OPTIONS, type BatchHandler, type BatchOptions, JobBatches } from "./work/job_batches.ts";
import { JobConsumer } from "./work/job_consumer.ts";
import { EachJobHandler } from "./work/job_handler.ts";
import { ManagedQueue } from "./_managed_queue.ts";

/** A {@linkcode JobQueue} over the connection of its stores. */
export class QueueHandle<Out = unknown, In = Out> extends ManagedQueue<In> implements JobQueue<Out, In> {
  protected readonly queue: QueueContext<Out>;
  readonly #publisher: JobPublisher;

  constructor(context: Context, name: string, given?: QueueOptions<Out, In>) {
    super();
    checkName(name, "queue");
    const options = checkQueueOptions(given);
    const names = new QueueNames(name);
    const stream = new QueueStream(context, names, options);
    this.queue = {
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
    return this.queue.names.queue;
  }

  publish(data: In, options?: PublishOptions): Promise<JobReceipt | null> {
    return rejecting(() => {
      const job = prepareJob(this.queue.names, data, checkPublishOptions(options));
      return this.queue.schema ? this.#publishChecked(this.queue.schema, job) : this.#publish(job);
    });
  }

  async #publishChecked(schema: JobSchema<Out>, job: PreparedJob): Promise<JobReceipt | null> {
    const { timeout } = this.queue.context;
    const began = performance.now();
    await checkData(schema, job.payload, "publish the job", timeout);
    return await this.#publish(job, Math.max(1, timeout - (performance.now() - began)));
  }

  #publish(job: PreparedJob, timeout?: number): Promise<JobReceipt | null> {
    const { context: { telemetry }, observed } = this.queue;
    return telemetry.send(observed, [job], () => this.#publisher.publish(job, timeout));
  }

  async publishMany(
    jobs: readonly (PublishOptions & { data: In })[],
    options?: PublishManyOptions,
  ): Promise<(JobReceipt | null)[] | null> {
    const { atomic = false } = checkOptions(options, MANY_OPTIONS, "publish jobs");
    checkBoolean(atomic, "publish jobs", "atomic");
    if (!Array.isArray(jobs)) throw wrongType("publish jobs as 'jobs' must be an array", jobs);
    const { context, names, observed, schema } = this.queue;
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
    // What only the server can check is requested before the first one is sent, so that none is stored if one is wrong.
    const ready = await callQueue(
      this.queue,
      (call) => this.#publisher.ready(call, jobs),
    );
    if (!ready) return null;
    const receipts = atomic
      ? await publishBatches(this.queue, this.#publisher, ready)
      : await this.#publisher.publishAll(ready);
    return receipts.length > 0 && receipts.every((receipt) => receipt === null) ? null : receipts;
  }

  consume(handler: (job: Job<Out>) => unknown, options?: ConsumeOptions): JobConsumer<Out> {
    const settings = consumeSettings(handler, options);
    return new JobConsumer<Out>(this.queue, settings, new EachJobHandler(handler));
  }

  consumeBatches(handler: BatchHandler<Out>, options?: BatchOptions): JobConsumer<Out> {
    const { size, wait, concurrency, ...others } = checkOptions(options, BATCH_OPTIONS, "consume batches");
    const batches = new JobBatches<Out>(this.queue, handler, { size, wait, concurrency });
    const settings = consumeSettings(handler, { ...others, concurrency: batches.jobs });
    return new JobConsumer<Out>(this.queue, settings, batches);
  }

  async open(): Promise<true | null> {
    const { stream } = this.queue;
    return await callQueue(this.queue, (call) => stream.openConsumers(call).then(() => true as const));
  }

  async get(id: string): Promise<JobInfo<In> | null> {
    return await this.#lookUp(id, "look the job up", (call, token) => findJob<In>(call, this.queue, token));
  }

  jobs(options?: ListJobsOptions): AsyncGenerator<JobInfo<In>, void> {
    return listJobs<In>(this.queue, jobList(this.queue.names, options));
  }

  cancel(id: string): Promise<boolean | null>;
  cancel(filter: JobFilter, options?: MatchOptions): Promise<MatchCounts | null>;
  async cancel(which: string | JobFilter, options?: MatchOptions): Promise<boolean | MatchCounts | null> {
    if (isFilter(which)) {
      const doing = "cancel jobs";
      const filter = checkJobFilter(which, doing);
      return await cancelMatches(this.queue, filter, checkMatchOptions(options, doing));
    }
    const known = { deleted: false };
    return await this.#lookUp(which, "cancel the job", (call, token) => cancelJob(call, this.queue, token, known));
  }

  async promote(id: string): Promise<boolean | null> {
    return await this.#lookUp(id, "promote the job", (call, token) => promoteJob(call, this.queue, token), CHANGE);
  }

  async reschedule(id: string, options: RescheduleOptions): Promise<boolean | null> {
    const due = checkReschedule(options);
    return await this.#change(id, "reschedule the job", (now) => {
      return JobChange.ofMoment(typeof due === "number" ? now + due : due?.getTime());
    });
  }

  async update(id: string, data: In): Promise<boolean | null> {
    const { context, schema } = this.queue;
    const payload = jsonText(data, "update the job", "data");
    if (schema) await checkData(schema, payload, "update the job", context.timeout);
    return await this.#change(id, "update the job", () => JobChange.ofData(payload));
  }

  /** @param begin Makes the change at the first attempt; it gets the server's time. */
  async #change(id: string, doing: string, begin: (now: number) => JobChange): Promise<boolean | null> {
    let begun: { change: JobChange; token: string } | undefined;
    let done: boolean | null = null;
    try {
      return done = await this.#lookUp(id, doing, (call, token) => {
        begun = { change: begun?.change ?? begin(call.session.now()), token };
        return begun.change.make(call, this.queue, token);
      }, CHANGE);
    } finally {
      if (begun && done === null) withdraw(this.queue.context, this.queue, begun.token, begun.change);
    }
  }

  async #depth(): Promise<QueueDepth | null> {
    const counts = await this.counts();
    return counts && queueDepth(counts);
  }

  deadLetters(options?: ListDeadLettersOptions): AsyncGenerator<DeadLetter<In>, void> {
    return listDeadLetters<In>(this.queue, listedBefore(options));
  }

  async deadLetter(id: string): Promise<DeadLetter<In> | null> {
    return await this.#lookUp(id, "look the dead letter up", async (call, token) => {
      const letter = await findDeadLetter(call, this.queue.names, token);
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
      return await redriveMatches(this.queue, this.#publisher, filter, checkMatchOptions(options, doing));
    }
    if (which === "all") return (await redriveMatches(this.queue, this.#publisher, {}, {}))?.done ?? null;
    const met = new Map<string, Redriven>();
    const redrive = (call: Call, token: string) => redriveById(call, this.queue, this.#publisher, token, met);
    const redriven = await this.#lookUp(which, "redrive the job", redrive);
    return redriven === null ? null : Number(redriven);
  }

  discard(id: string): Promise<boolean | null>;
  discard(filter: DeadLetterFilter, options?: MatchOptions): Promise<MatchCounts | null>;
  async discard(which: string | DeadLetterFilter, options?: MatchOptions): Promise<boolean | MatchCounts | null> {
    if (isFilter(which)) {
      const doing = "discard dead letters";
      const filter = checkDeadLetterFilter(which, doing);
      return await discardMatches(this.queue, filter, checkMatchOptions(options, doing));
    }
    const { names } = this.queue;
    const discard = (call: Call, token: string) => discardDeadLetter(call, names, token);
    return await this.#lookUp(which, "discard the dead letter", discard, REMOVAL);
  }

  /** Does something with the job, or the dead letter, of an id. */
  async #lookUp<R>(
    id: string,
    doing: string,
    operation: (call: Call, token: string) => Promise<R>,
    options?: Partial<AttemptOptions>,
  ) {
    const [token, tick] = lookUpTokens(id, doing);
    return await callQueue(this.queue, async (call) => {
      const done = await operation(call, token);
      return done || tick === undefined ? done : await operation(call, tick);
    }, options);
  }
}
