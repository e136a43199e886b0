import { setImmediate } from "node:timers";
import type { Context } from "../wire/context.ts";
import type { Session } from "../wire/session.ts";
import { checkName } from "../wire/tokens.ts";
import type { ConsumeOptions } from "./consume_options.ts";
import { type BatchHandler, type BatchOptions, JobBatches } from "./job_batches.ts";
import { QueueAdministration } from "./queue_administration.ts";
import type { Job } from "./job.ts";
import { JobResults } from "./job_results.ts";
import type { QueueParts } from "./queue_parts.ts";
import { JobConsumer } from "./job_consumer.ts";
import { describeIssues } from "./job_schema.ts";
import { JobPublisher, type JobReceipt } from "./publish_job.ts";
import { publishBatches, type PublishManyOptions } from "./publish_many.ts";
import {
  checkSize,
  dedupedJob,
  type PreparedJob,
  prepareJob,
  type PublishOptions,
  timedJob,
} from "./publish_options.ts";
import { QueueNames } from "./queue_names.ts";
import { checkQueueOptions, type QueueOptions } from "./queue_options.ts";
import { QueueStream } from "./queue_stream.ts";

/** Jobs of one call that are sent within one turn of the event loop. */
const SENT_TOGETHER = 64;

/** One queue of jobs: publishes, consumes and administrates it. Made at once, without a connection, and cheap to keep. */
export class JobQueue<T = unknown> extends QueueAdministration<T> {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #options: QueueOptions<T>;
  readonly #parts: QueueParts<T>;

  /** @ignore Made by {@linkcode JetStreamStores.jobQueue}. */
  constructor(context: Context, name: string, options: QueueOptions<T> = {}) {
    checkName(name, "queue");
    checkQueueOptions(options);
    const names = new QueueNames(name);
    const stream = new QueueStream(context, names, options);
    const parts: QueueParts<T> = {
      context,
      names,
      stream,
      publisher: new JobPublisher(names, stream),
      results: new JobResults(names, stream),
      schema: options.schema,
    };
    super(parts);
    this.#context = context;
    this.#names = names;
    this.#options = options;
    this.#parts = parts;
  }

  /**
   * Adds one job.
   *
   * @returns The server's receipt, with `duplicate: true` if a job of this id was there already; `null` if it is not confirmed: no
   * connection, or no answer within the deadline, in which case it may be stored all the same. Repeating it is safe with an `id` while the
   * job is pending, or with a `requestId`.
   * @throws {TypeError | RangeError} If the data is no JSON value or does not fit the schema, or an option is wrong.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  async publish(data: T, options: PublishOptions = {}): Promise<JobReceipt | null> {
    return await this.#publish(
      this.#options.schema ? await this.#prepare(data, options) : prepareJob(this.#names, data, options),
    );
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
    options: PublishManyOptions = {},
  ): Promise<(JobReceipt | null)[] | null> {
    const { atomic = false } = options;
    if (!Array.isArray(jobs)) {
      throw new TypeError(`Cannot publish jobs as 'jobs' must be an array: current value is of type ${typeof jobs}`);
    }
    const prepared = this.#options.schema
      ? await Promise.all(jobs.map((job) => this.#prepare(job?.data, job)))
      : jobs.map((job) => prepareJob(this.#names, job?.data, job));
    // What only the server knows is asked before the first one is sent, so that none is stored if one is wrong.
    const ready = await this.#attempt((session, deadline) => this.#ready(session, prepared, deadline));
    if (!ready) return null;
    const receipts = atomic
      ? await publishBatches(this.#context, this.#names, this.#parts.publisher, ready)
      : await this.#publishAll(ready);
    return receipts.length > 0 && receipts.every((receipt) => receipt === null) ? null : receipts;
  }

  /**
   * Runs `handler` for each job. It starts by itself as soon as there is a connection, and goes on after each reconnect.
   *
   * A handler that returns has done its job. One that throws is tried again later, up to `maxAttempts`; then the job is a dead letter.
   *
   * @throws {TypeError | RangeError} If an option is wrong.
   */
  consume(handler: (job: Job<T>) => unknown, options: ConsumeOptions = {}): JobConsumer<T> {
    return new JobConsumer<T>(this.#parts, handler, options);
  }

  /**
   * Runs `handler` for batches of jobs: it gets those that are there, up to `size`, and can tell the outcome of each. All else is as with
   * {@linkcode JobQueue.consume}.
   *
   * @throws {TypeError | RangeError} If an option is wrong.
   */
  consumeBatches(handler: BatchHandler<T>, options: BatchOptions = {}): JobConsumer<T> {
    const batches = new JobBatches<T>(handler, options);
    return this.consume((job) => batches.handle(job), { ...options, concurrency: batches.jobs });
  }

  /** Whether the queue can be opened now; makes it if it is missing. `null` without a connection. */
  async open(): Promise<true | null> {
    return await this.#attempt(async (session, deadline) => {
      await this.#parts.stream.openConsumers(session, deadline);
      return true as const;
    });
  }

  async #prepare(data: T, options: PublishOptions): Promise<PreparedJob> {
    const { schema } = this.#options;
    if (schema && data !== undefined) {
      const checked = await schema["~standard"].validate(data);
      if (checked.issues) {
        throw new TypeError(
          `Cannot publish the job as its data does not fit the queue's schema: ${describeIssues(checked.issues)}`,
        );
      }
    }
    return prepareJob(this.#names, data, options);
  }

  #publish(job: PreparedJob): Promise<JobReceipt | null> {
    const call = { tried: false };
    return this.#context.connection.attempt(async (session, deadline) => {
      const [ready] = await this.#ready(session, [job], deadline);
      return await this.#parts.publisher.publish(session, ready, deadline, call);
    }, { timeout: this.#context.timeout, persist: true });
  }

  /** Publishes jobs that are ready, all at once. */
  async #publishAll(jobs: readonly PreparedJob[]): Promise<(JobReceipt | null)[]> {
    const { connection, timeout } = this.#context;
    const publish = (job: PreparedJob) => {
      const call = { tried: false };
      return connection.attempt(
        (session, deadline) => this.#parts.publisher.publish(session, job, deadline, call),
        { timeout, persist: true },
      );
    };
    const parts: Promise<(JobReceipt | null)[]>[] = [];
    for (let start = 0; start < jobs.length; start += SENT_TOGETHER) {
      // The server works at the first ones while the next are made ready to be sent.
      if (start > 0) await new Promise((resolve) => setImmediate(resolve));
      const part = Promise.all(jobs.slice(start, start + SENT_TOGETHER).map(publish));
      // It is looked at when all are under way.
      part.catch(() => {});
      parts.push(part);
    }
    return (await Promise.all(parts)).flat();
  }

  /** The jobs as this queue takes them; makes the queue if it is missing. */
  async #ready(session: Session, jobs: readonly PreparedJob[], deadline: number): Promise<PreparedJob[]> {
    for (const job of jobs) {
      if (job.due !== undefined) session.server.require("2.12", "A job with a delay");
      checkSize(job, session.maxPayload);
    }
    const { dedupe } = await this.#parts.publisher.open(session, jobs.some((job) => job.keyed), deadline);
    return jobs.map((job) => timedJob(dedupe ? dedupedJob(job) : job, session.now()));
  }

  #attempt<R>(operation: (session: Session, deadline: number) => Promise<R>): Promise<R | null> {
    return this.#context.connection.attempt(operation, { timeout: this.#context.timeout });
  }
}
