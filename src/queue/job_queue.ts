import { checkBoolean, wrongType } from "../checks.ts";
import { checkOptions } from "../options.ts";
import type { Context } from "../wire/context.ts";
import { checkName } from "../wire/tokens.ts";
import type { ConsumeOptions } from "./work/consume_options.ts";
import { EndedJobs } from "./store/ended_jobs.ts";
import { BATCH_OPTIONS, type BatchHandler, type BatchOptions, JobBatches } from "./work/job_batches.ts";
import { QueueAdministration } from "./queue_administration.ts";
import type { Job } from "./work/job.ts";
import { JobResults } from "./store/job_results.ts";
import { callQueue } from "./store/queue_call.ts";
import type { QueueParts } from "./store/queue_parts.ts";
import { JobConsumer } from "./work/job_consumer.ts";
import { checkData } from "./format/job_schema.ts";
import { JobPublisher, type JobReceipt } from "./publish/publish_job.ts";
import { MANY_OPTIONS, publishBatches, type PublishManyOptions } from "./publish/publish_many.ts";
import { checkEntry, checkPublishOptions, prepareJob, type PublishOptions } from "./publish/publish_options.ts";
import { QueueNames } from "./format/queue_names.ts";
import { checkQueueOptions, type QueueOptions } from "./store/queue_options.ts";
import { QueueStream } from "./store/queue_stream.ts";

/** One queue of jobs: publishes, consumes and administrates it. Made at once, without a connection, and cheap to keep. */
export class JobQueue<T = unknown> extends QueueAdministration<T> {
  readonly #parts: QueueParts<T>;

  /** @ignore Made by {@linkcode JetStreamStores.jobQueue}. */
  constructor(context: Context, name: string, given?: QueueOptions<T>) {
    checkName(name, "queue");
    const options = checkQueueOptions(given);
    const names = new QueueNames(name);
    const stream = new QueueStream(context, names, options);
    const parts: QueueParts<T> = {
      context,
      names,
      stream,
      publisher: new JobPublisher(context, names, stream),
      results: new JobResults(names, stream),
      ended: new EndedJobs(),
      schema: options.schema,
    };
    super(parts);
    this.#parts = parts;
  }

  /**
   * Adds one job.
   *
   * @param data What the job is about: any JSON value, as it is when this is called. Of a class instance its own properties are stored, or what its
   * `toJSON` returns (a `Date` is its ISO text); properties that are `undefined` are left out. What JSON would lose is refused: `NaN`, functions,
   * symbols, `undefined` in a list, a `Map`, a `Set`, bytes.
   * @returns The server's receipt, with `duplicate: true` if a job of this id was there already; `null` if it is not confirmed: no
   * connection, or no answer within the deadline, in which case it may be stored all the same. Repeating it is safe with an `id` while the
   * job is pending, or with a `requestId`.
   * @throws {TypeError | RangeError} If the data is no JSON value (the message names the path, such as `data.items[3]`) or does not fit the schema, or
   * an option is wrong.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  async publish(data: T, options?: PublishOptions): Promise<JobReceipt | null> {
    const { context, names, publisher, schema } = this.#parts;
    const job = prepareJob(names, data, checkPublishOptions(options));
    if (!schema) return await publisher.publish(job);
    const began = performance.now();
    await checkData(schema, data, "publish the job", context.timeout);
    return await publisher.publish(job, Math.max(1, context.timeout - (performance.now() - began)));
  }

  /**
   * Adds many jobs.
   *
   * @returns A receipt for each, in their order; `null` in the list: this one is not confirmed. `null` without a connection.
   * @throws {TypeError | RangeError} If one of them is wrong; none is stored then.
   * @throws {JetStreamStoreError} If the server refuses for good, or is too old for `atomic`.
   */
  async publishMany(
    jobs: readonly (PublishOptions & { /** What the job is about: any JSON value. */ data: T })[],
    options?: PublishManyOptions,
  ): Promise<(JobReceipt | null)[] | null> {
    const { atomic = false } = checkOptions(options, MANY_OPTIONS, "publish jobs");
    checkBoolean(atomic, "publish jobs", "atomic");
    if (!Array.isArray(jobs)) throw wrongType("publish jobs as 'jobs' must be an array", jobs);
    const { context, names, publisher, schema } = this.#parts;
    const entries = Array.from(jobs, (entry) => checkEntry<T>(entry));
    const prepared = entries.map((entry) => prepareJob(names, entry.data, entry));
    if (schema) {
      await Promise.all(entries.map(({ data }) => checkData(schema, data, "publish the job", context.timeout)));
    }
    // What only the server knows is asked before the first one is sent, so that none is stored if one is wrong.
    const ready = await callQueue(
      this.#parts,
      ({ session, deadline }) => publisher.ready(session, prepared, deadline),
    );
    if (!ready) return null;
    const receipts = atomic ? await publishBatches(this.#parts, ready) : await publisher.publishAll(ready);
    return receipts.length > 0 && receipts.every((receipt) => receipt === null) ? null : receipts;
  }

  /**
   * Runs `handler` for each job. It starts by itself as soon as there is a connection, goes on after each reconnect, and keeps the
   * process alive until it is stopped.
   *
   * A handler that returns has done its job. One that throws is tried again later, up to `maxAttempts`; then the job is a dead letter.
   *
   * @throws {TypeError | RangeError} If an option is wrong.
   */
  consume(handler: (job: Job<T>) => unknown, options?: ConsumeOptions): JobConsumer<T> {
    return new JobConsumer<T>(this.#parts, handler, options);
  }

  /**
   * Runs `handler` for batches of jobs: it gets those that are there, up to `size`, and can tell the outcome of each. All else is as with
   * {@linkcode JobQueue.consume}.
   *
   * @throws {TypeError | RangeError} If an option is wrong.
   */
  consumeBatches(handler: BatchHandler<T>, options?: BatchOptions): JobConsumer<T> {
    const { size, wait, concurrency, ...others } = checkOptions(options, BATCH_OPTIONS, "consume batches");
    const batches = new JobBatches<T>(this.#parts.context, handler, { size, wait, concurrency });
    const handle = (job: Job<T>) => batches.outcome(job);
    return new JobConsumer<T>(this.#parts, handle, { ...others, concurrency: batches.jobs }, batches);
  }

  /** Whether the queue can be opened now; makes it if it is missing. `null` without a connection. */
  async open(): Promise<true | null> {
    return await callQueue(
      this.#parts,
      ({ session, deadline, stream }) => stream.openConsumers(session, deadline).then(() => true as const),
    );
  }
}
