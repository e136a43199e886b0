import type { Context } from "../wire/context.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { deleteMessage, deleteStream, purgeStream } from "../wire/streams.ts";
import { checkName, checkText } from "../wire/tokens.ts";
import { cancelJob } from "./cancel_job.ts";
import type { ConsumeOptions } from "./consume_options.ts";
import { deadLetterMessages } from "./dead_letter_list.ts";
import { type DeadLetter, findDeadLetter, readDeadLetter } from "./dead_letters.ts";
import { findJob, type JobInfo } from "./find_job.ts";
import type { Job } from "./job.ts";
import { JobConsumer } from "./job_consumer.ts";
import { countJobs, type JobCounts } from "./job_counts.ts";
import { describeIssues } from "./job_schema.ts";
import { JobPublisher, type JobReceipt } from "./publish_job.ts";
import { type PreparedJob, prepareJob, type PublishOptions } from "./publish_options.ts";
import { idToken, QueueNames } from "./queue_names.ts";
import { checkQueueOptions, type QueueOptions } from "./queue_options.ts";
import { QueueStream } from "./queue_stream.ts";
import { redriveJob } from "./redrive_job.ts";

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

  /**
   * Looks a job up by its id.
   *
   * @returns `null` if it is not in the queue, or without a connection.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async get(id: string): Promise<JobInfo<T> | null> {
    const token = checkId(id, "look the job up");
    return await this.#attempt((session, deadline) => findJob<T>(session, this.#names, this.#stream, token, deadline));
  }

  /**
   * Takes a job out of the queue, whether it waits, is delayed or runs, in any process: a running one's `signal` aborts.
   *
   * @returns `false`: there was none; `null`: nobody can tell.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async cancel(id: string): Promise<boolean | null> {
    const token = checkId(id, "cancel the job");
    const call = { deleted: false, unsure: false };
    return await this.#attempt((session, deadline) => cancelJob(session, this.#names, token, call, deadline));
  }

  /** How many jobs there are; `null` if there is no such queue, or no connection. */
  async counts(): Promise<JobCounts | null> {
    return await this.#attempt((session, deadline) => countJobs(session, this.#names, this.#stream, deadline));
  }

  /**
   * The dead letters, newest first, fetched by page as they are asked for.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection, and when the list breaks off.
   */
  async *deadLetters(): AsyncGenerator<DeadLetter<T>, void> {
    for await (const message of deadLetterMessages(this.#context, this.#names)) yield readDeadLetter<T>(message);
  }

  /**
   * Makes a dead letter a job again, or all of them; their attempts start anew. One whose id is in the queue stays a dead letter.
   *
   * @returns How many became jobs; `null` without a connection, or if it broke off.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async redrive(id: string | "all"): Promise<number | null> {
    const token = checkId(id, "redrive the job");
    if (id !== "all") {
      return await this.#redrive((session, deadline) => findDeadLetter(session, this.#names, token, deadline));
    }
    let redriven = 0;
    try {
      for await (const letter of deadLetterMessages(this.#context, this.#names)) {
        const done = await this.#redrive(() => Promise.resolve(letter));
        if (done === null) return null;
        redriven += done;
      }
    } catch (error) {
      if (error instanceof JetStreamStoreError && error.code === "disconnected") return null;
      throw error;
    }
    return redriven;
  }

  /**
   * Removes a dead letter for good.
   *
   * @returns `false`: there was none; `null`: not confirmed.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async discard(id: string): Promise<boolean | null> {
    const token = checkId(id, "discard the dead letter");
    return await this.#attempt(async (session, deadline) => {
      const letter = await findDeadLetter(session, this.#names, token, deadline);
      return letter !== null && await deleteMessage(session, this.#names.deadStream, letter.sequence, deadline);
    });
  }

  /**
   * Removes all jobs, those that run included (they end, but report nothing); schedules and dead letters stay.
   *
   * @returns How many; `null`: not confirmed.
   */
  async purge(): Promise<number | null> {
    return await this.#attempt(async (session, deadline) => {
      let purged = 0;
      for (const filter of this.#names.purgeFilters()) {
        purged += await purgeStream(session, this.#names.stream, { filter }, deadline);
      }
      return purged;
    });
  }

  /**
   * Removes the queue with all its jobs, schedules, dead letters and results.
   *
   * @returns `false`: there was none; `null`: not confirmed.
   */
  async destroy(): Promise<boolean | null> {
    return await this.#attempt(async (session, deadline) => {
      this.#stream.forget();
      const gone = await deleteStream(session, this.#names.stream, deadline);
      await deleteStream(session, this.#names.deadStream, deadline);
      await deleteStream(session, `KV_${this.#names.resultsBucket}`, deadline);
      return gone;
    });
  }

  #redrive(find: (session: Session, deadline: number) => Promise<StoredMessage | null>): Promise<number | null> {
    return this.#attempt(async (session, deadline) => {
      const letter = await find(session, deadline);
      if (!letter) return 0;
      await this.#stream.open(session, deadline);
      return await redriveJob(session, this.#names, this.#publisher, letter, deadline) ? 1 : 0;
    });
  }

  async #prepare(data: T, options: PublishOptions): Promise<PreparedJob> {
    const { schema, dedupe = 0 } = this.#options;
    if (schema && data !== undefined) {
      const checked = await schema["~standard"].validate(data);
      if (checked.issues) {
        throw new TypeError(
          `Cannot publish the job as its data does not fit the queue's schema: ${describeIssues(checked.issues)}`,
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

function checkId(id: string, doing: string): string {
  checkText(id, doing, "id");
  return idToken(id, doing);
}
