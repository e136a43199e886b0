import type { Context } from "../wire/context.ts";
import type { Session } from "../wire/session.ts";
import { checkName } from "../wire/tokens.ts";
import type { ConsumeOptions } from "./consume_options.ts";
import type { Job } from "./job.ts";
import { JobConsumer } from "./job_consumer.ts";
import { JobPublisher, type JobReceipt } from "./publish_job.ts";
import { type PreparedJob, prepareJob, type PublishOptions } from "./publish_options.ts";
import { QueueNames } from "./queue_names.ts";
import { checkQueueOptions, type QueueOptions } from "./queue_options.ts";
import { QueueStream } from "./queue_stream.ts";

/** One queue of jobs: publishes, consumes and administrates it. Made at once, without a connection, and cheap to keep. */
export class JobQueue<T = unknown> {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #options: QueueOptions<T>;
  readonly #stream: QueueStream;
  readonly #publisher: JobPublisher;

  /** Made by {@linkcode JetStreamStores.jobQueue}. */
  constructor(context: Context, name: string, options: QueueOptions<T> = {}) {
    checkName(name, "queue");
    checkQueueOptions(options);
    this.#context = context;
    this.#names = new QueueNames(name);
    this.#options = options;
    this.#stream = new QueueStream(context, this.#names, options);
    this.#publisher = new JobPublisher(this.#names, this.#stream);
  }

  /** The queue's name. */
  get name(): string {
    return this.#names.queue;
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
    return await this.#publish(await this.#prepare(data, options));
  }

  /**
   * Adds many jobs.
   *
   * @returns A receipt for each, in their order; `null` in the list: this one is not confirmed. `null` without a connection.
   * @throws {TypeError | RangeError} If one of them is wrong; none is stored then.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  async publishMany(jobs: readonly (PublishOptions & { data: T })[]): Promise<(JobReceipt | null)[] | null> {
    if (!Array.isArray(jobs)) {
      throw new TypeError(`Cannot publish jobs as 'jobs' must be an array: current value is of type ${typeof jobs}`);
    }
    const prepared = await Promise.all(jobs.map(({ data, ...options }) => this.#prepare(data, options)));
    const receipts = await Promise.all(prepared.map((job) => this.#publish(job)));
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
    return new JobConsumer<T>(this.#context, this.#names, this.#stream, this.#options.schema, handler, options);
  }

  /** Whether the queue can be opened now; makes it if it is missing. `null` without a connection. */
  async open(): Promise<true | null> {
    return await this.#attempt(async (session, deadline) => {
      await this.#stream.openConsumers(session, deadline);
      return true as const;
    });
  }

  async #prepare(data: T, options: PublishOptions): Promise<PreparedJob> {
    const { schema, dedupe = 0 } = this.#options;
    if (schema && data !== undefined) {
      const checked = await schema["~standard"].validate(data);
      if (checked.issues) {
        throw new TypeError(
          `Cannot publish the job as its data does not fit the queue's schema: ${
            checked.issues.map(({ message }) => message).join("; ")
          }`,
        );
      }
    }
    return prepareJob(this.#names, data, options, dedupe > 0);
  }

  #publish(job: PreparedJob): Promise<JobReceipt | null> {
    const call = { tried: false };
    return this.#context.connection.attempt(async (session, deadline) => {
      if (job.delayed) session.server.require("2.12", "A job with a delay");
      await this.#stream.open(session, deadline);
      return await this.#publisher.publish(session, job, deadline, call);
    }, { timeout: this.#context.timeout, persist: true });
  }

  #attempt<R>(operation: (session: Session, deadline: number) => Promise<R>): Promise<R | null> {
    return this.#context.connection.attempt(operation, { timeout: this.#context.timeout });
  }
}
