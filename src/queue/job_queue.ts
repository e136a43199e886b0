import type { JobEvent } from "./format/job_event.ts";
import type { MatchCounts, MatchOptions } from "./manage/act_on_matches.ts";
import type { RescheduleOptions } from "./manage/change_job.ts";
import type { WorkerInfo } from "./format/worker_info.ts";
import type { StartRate } from "./format/start_rate.ts";
import type { JobCounts } from "./manage/job_counts.ts";
import type { ActiveLimits } from "./manage/limit_active.ts";
import type { DeadLetterFilter, JobFilter } from "./manage/job_filter.ts";
import type { ListJobsOptions } from "./manage/list_jobs.ts";
import type { PauseOptions } from "./manage/pause_queue.ts";
import type { ScheduleInfo, ScheduleOptions } from "./manage/schedules.ts";
import type { WaitOptions } from "./manage/wait_for_job.ts";
import type { JobReceipt } from "./publish/job_receipt.ts";

import type { PublishManyOptions } from "./publish/publish_many.ts";
import type { PublishOptions } from "./publish/publish_options.ts";
import type { ListDeadLettersOptions } from "./manage/list_dead_letters.ts";
import type { DeadLetter } from "./store/dead_letters.ts";
import type { JobInfo } from "./store/find_job.ts";
import type { EventsOptions } from "./store/job_events.ts";
import type { JobProgress } from "./store/job_results.ts";
import type { ConsumeOptions } from "./work/consume_options.ts";
import type { Job } from "./work/job.ts";
import type { BatchHandler, BatchOptions } from "./work/job_batches.ts";
import type { JobConsumer } from "./work/job_consumer.ts";

/**
 * One queue of jobs: publishes, consumes and manages them. Made by {@linkcode jobQueue} at once, without a connection, and cheap to keep.
 *
 * Without a connection its methods return `null`; iterating a list or {@linkcode JobQueue.events} throws a `JetStreamStoreError`
 * (`disconnected`). An id that is not a string, is empty or too long, and a wrong option, are a `TypeError` or a `RangeError`. What the server
 * refuses for good is a `JetStreamStoreError`.
 *
 * @example Publish, work, wait, look
 * ```ts
 * import { close, jobQueue } from "@supercheck/jetstream";
 *
 * const sums = jobQueue<{ a: number; b: number }>("sums");
 * const consumer = sums.consume((job) => job.data.a + job.data.b);
 *
 * const receipt = await sums.publish({ a: 1, b: 2 }, { keepResult: 60_000 });
 * if (receipt) {
 *   console.log(await sums.waitFor(receipt.id, { timeout: 5_000 })); // 3
 *   console.log((await sums.counts())?.dead); // 0
 * }
 *
 * await consumer.stop();
 * await close();
 * ```
 *
 * @typeParam Out What handlers get: the output of the queue's schema.
 * @typeParam In What is published and stored: the input of the schema. Without a schema both are the same.
 *
 * @category Jobs
 */
export interface JobQueue<Out = unknown, In = Out> {
  /** The queue's name. */
  readonly name: string;

  /**
   * Adds one job.
   *
   * @param data What the job is about: any JSON value, as it is when this is called. Of a class instance its own properties are stored, or what its
   * `toJSON` returns (a `Date` is its ISO text); properties that are `undefined` are left out. What JSON would lose is refused: `NaN`, functions,
   * symbols, `undefined` in a list, a `Map`, a `Set`, bytes.
   * @returns The server's receipt, with `duplicate: true` if a job of this id was there already; `null` if it is not confirmed: no
   * connection, or no answer within the deadline, in which case it may be stored. Repeating it is safe with an `id` while the job is pending,
   * or with a `requestId`.
   * @throws {TypeError | RangeError} If the data is no JSON value (the message names the path, such as `data.items[3]`) or does not fit the schema, or
   * an option is wrong.
   */
  publish(data: In, options?: PublishOptions): Promise<JobReceipt | null>;

  /**
   * Adds many jobs.
   *
   * @returns A receipt for each, in their order; `null` in the list: this one is not confirmed. `null` without a connection.
   * @throws {TypeError | RangeError} If one of them is wrong; none is stored then.
   * @throws {JetStreamStoreError} If the server refuses for good, or is too old for `atomic`.
   */
  publishMany(
    jobs: readonly (PublishOptions & { /** What the job is about: any JSON value. */ data: In })[],
    options?: PublishManyOptions,
  ): Promise<(JobReceipt | null)[] | null>;

  /**
   * Runs `handler` for each job. It starts by itself as soon as there is a connection, resumes after each reconnect, and keeps the
   * process alive until it is stopped.
   *
   * A job is completed when its handler returns. When it throws, the job is retried later, up to `maxAttempts`; then it is a dead letter.
   */
  consume(handler: (job: Job<Out>) => unknown, options?: ConsumeOptions): JobConsumer<Out>;

  /**
   * Runs `handler` for batches of jobs: it gets those that are there, up to `size`, and can set the outcome of each. All else is as with
   * {@linkcode JobQueue.consume}.
   */
  consumeBatches(handler: BatchHandler<Out>, options?: BatchOptions): JobConsumer<Out>;

  /** Opens the queue, and makes it if it is missing. `null` without a connection. */
  open(): Promise<true | null>;

  /** Looks a job up by its id. `null` if it is not in the queue, or without a connection. */
  get(id: string): Promise<JobInfo<In> | null>;

  /** Lists the jobs that are in the queue, oldest first within each priority, fetched by page as they are asked for. */
  jobs(options?: ListJobsOptions): AsyncGenerator<JobInfo<In>, void>;

  /**
   * Removes a job from the queue, whether it is waiting, delayed or active, in any process: an active one's `signal` aborts.
   *
   * @returns `false`: there was none; `null`: not known, as a reply was lost.
   */
  cancel(id: string): Promise<boolean | null>;

  /**
   * Removes all jobs that match, page by page, whether they are waiting, delayed or active.
   *
   * @returns How many matched, and how many of them were cancelled; `null` if it broke off: some may be cancelled.
   * @throws {TypeError | RangeError} If the filter has nothing, or something unknown.
   */
  cancel(filter: JobFilter, options?: MatchOptions): Promise<MatchCounts | null>;

  /**
   * Runs a delayed job, or a retry, as soon as a worker is free. A job that is waiting stays as it is. One that is due within
   * 250 ms, or a second with replicas, is left to its schedule. Needs nats-server 2.14.
   *
   * @returns `false`: there is no such job, or it is active; `null`: not known, as a reply was lost.
   */
  promote(id: string): Promise<boolean | null>;

  /**
   * Moves a waiting or delayed job, or a retry, to another moment; waits for one due in 250 ms (1 s with replicas). Needs nats-server 2.14.
   *
   * @returns `false`: there is no such job, or it is active; `null`: not known, as a reply was lost.
   * @throws {JetStreamStoreError} `unsupported`, if the server is too old, the job has a key, or a schedule made it.
   */
  reschedule(id: string, options: RescheduleOptions): Promise<boolean | null>;

  /**
   * Gives a waiting or delayed job, or a retry, other data; all else stays, and a waiting one moves to the end of its priority. Waits as
   * {@linkcode JobQueue.reschedule} does, and needs nats-server 2.14.
   *
   * @returns `false`: there is no such job, or it is active; `null`: not known, as a reply was lost.
   * @throws {RangeError} If the data is too large.
   * @throws {JetStreamStoreError} `unsupported`, if the server is too old, the job has a key, or a schedule made it.
   */
  update(id: string, data: In): Promise<boolean | null>;

  /** Counts the jobs; `null` if there is no such queue, or no connection. */
  counts(): Promise<JobCounts | null>;

  /** Lists the dead letters, newest first, fetched by page as they are asked for. */
  deadLetters(options?: ListDeadLettersOptions): AsyncGenerator<DeadLetter<In>, void>;

  /** Looks the dead letter of an id up. `null`: there is none, or no connection. */
  deadLetter(id: string): Promise<DeadLetter<In> | null>;

  /**
   * Makes a dead letter a job again, or all of them; their attempts start anew. One whose id is in the queue stays a dead letter, and so does
   * another client's that leaves no room for the headers of a job: of all, the log names which.
   *
   * @returns How many became jobs; `null` without a connection, or if it broke off.
   * @throws {RangeError} If the one dead letter is too large.
   */
  redrive(id: string | "all"): Promise<number | null>;

  /**
   * Makes all dead letters jobs again that match, newest first.
   *
   * @returns How many matched, and how many of them became jobs; `null` if it broke off: some may be jobs.
   * @throws {TypeError | RangeError} If the filter has nothing, or something unknown.
   */
  redrive(filter: DeadLetterFilter, options?: MatchOptions): Promise<MatchCounts | null>;

  /** Removes a dead letter for good. `false`: there was none; `null`: not confirmed. */
  discard(id: string): Promise<boolean | null>;

  /**
   * Removes all dead letters that match for good.
   *
   * @returns How many matched, and how many of them were removed; `null` if it broke off: some may be removed.
   * @throws {TypeError | RangeError} If the filter has nothing, or something unknown.
   */
  discard(filter: DeadLetterFilter, options?: MatchOptions): Promise<MatchCounts | null>;

  /** Removes all jobs, active ones included (they end, but report nothing), and returns how many; schedules and dead letters stay. */
  purge(): Promise<number | null>;

  /**
   * Removes the queue with all its jobs, schedules, dead letters and results. Streams and buckets of others that only have such a name stay. Workers
   * of the queue log it once, and wait until a publish, or a new worker, makes the queue again.
   *
   * @returns `false`: there was none; `null`: not confirmed.
   * @throws {JetStreamStoreError} `wrong_kind`, if the stream is not a queue of this library.
   */
  destroy(): Promise<boolean | null>;

  /**
   * Loads the last progress that a handler reported of a job. It is kept for a day, longer than the job.
   *
   * @typeParam R What it is known to be; nothing checks that.
   * @returns `null` if there is none, or without a connection.
   */
  progress<R = unknown>(id: string): Promise<JobProgress<R> | null>;

  /**
   * Asks all workers of the queue, in all processes, what they do. They have half a second to answer; nothing is sent without such a request. Each
   * answer has some 300 bytes. Workers of an older version of this library do not answer.
   *
   * @returns The workers, the oldest first; `null` without a connection. The list is also empty if there is no such queue.
   * @throws {JetStreamStoreError} `permission`, if this user may not publish to `wqevt.<queue>.workers` or not subscribe below it.
   */
  workers(): Promise<WorkerInfo[] | null>;

  /**
   * Loads what the handler of a job published with `keepResult` returned.
   *
   * @typeParam R What it is known to return; nothing checks that.
   * @returns `null` if nothing is kept, or without a connection. `value` is `undefined` if the job is completed, but what it returned could not be kept.
   */
  result<R = unknown>(id: string): Promise<{ value: R | undefined } | null>;

  /**
   * Waits until a job is done, in any process. It waits out reconnects, as long as its timeout.
   *
   * @typeParam R What the handler is known to return; nothing checks that.
   * @returns What the handler returned, if the job was published with `keepResult`, which makes the wait certain. Of any other job: `undefined`, when
   * it is seen to leave the queue; one that left it before, right behind its publish for instance, looks like one that never was.
   * @throws {JobFailedError} If it is a dead letter, was cancelled, or had not started in time.
   * @throws {DOMException} `TimeoutError`, if it is not seen done within the timeout; the message says what is known of it.
   * @throws {JetStreamStoreError} `disconnected`, if the stores are closed, or no server is configured.
   */
  waitFor<R = unknown>(id: string, options: WaitOptions): Promise<R | undefined>;

  /**
   * Follows what happens to the jobs, live, from all workers; nothing of it is stored. `started`, `progress` and `completed` come within a second of
   * the beginning, since workers send them only while there is a listener. For a reader slower than the events, the newest 10 000 of them wait, at
   * most 8 MiB; that older ones are dropped is logged.
   *
   * @returns An iterable. Iterating throws without a connection when it begins; it resumes after a reconnect, and ends with the loop, with
   * `signal`, and when the stores are closed.
   */
  events(options?: EventsOptions): AsyncGenerator<JobEvent, void>;

  /**
   * Keeps a schedule on the server, in place of the one of its id if there is one: it makes a job each time, without any process of ours.
   * Runs that are due while there is no worker, or while the last one is active in the same process, collapse into one. Needs nats-server 2.14.
   *
   * @returns `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If an option is wrong; of a cron expression, the message shows the field.
   */
  schedule(id: string, options: ScheduleOptions<In>): Promise<true | null>;

  /** Removes a schedule; the jobs it has made stay. `false`: there was none; `null`: not confirmed. */
  unschedule(id: string): Promise<boolean | null>;

  /** Lists the schedules, with their next runs. */
  schedules(): AsyncGenerator<ScheduleInfo<In>, void>;

  /**
   * Publishes the job of a schedule now, beside those that it makes by itself. Like these it has the id `@` and the schedule's id, and runs after an
   * active one. `null` if there is no such schedule, or it is not confirmed.
   */
  runNow(id: string): Promise<JobReceipt | null>;

  /**
   * Stops the server from delivering jobs; active ones finish. It makes the queue if there is none.
   *
   * @param until When it ends by itself, at once if that is past; absent: when {@linkcode JobQueue.resume} is called.
   * @returns `null` if it is not confirmed.
   */
  pause(until?: Date, options?: PauseOptions): Promise<true | null>;

  /** Lets the server deliver jobs again; workers fetch them at once. `null` if it is not confirmed. */
  resume(options?: PauseOptions): Promise<true | null>;

  /**
   * Limits how many jobs of a priority may be with workers at the same time, over all processes; prefetched ones count. `null` lifts a limit, and
   * what is absent stays. It makes the queue if there is none.
   * @returns `null` if it is not confirmed.
   */
  limitActive(limits: ActiveLimits): Promise<true | null>;

  /**
   * Limits how many jobs start within an interval, over all workers of the queue, kept on the server; `null` lifts the limit. It creates a missing
   * queue. Workers take it over within a second. Unused starts do not accumulate while the queue is idle or paused. Retries count, too.
   *
   * @example An API that takes 50 calls a second
   * ```ts
   * import { close, jobQueue } from "@supercheck/jetstream";
   *
   * await jobQueue("calls").limitRate({ jobs: 50, interval: 1_000 });
   * await close();
   * ```
   *
   * @returns `null` if it is not confirmed.
   */
  limitRate(rate: StartRate | null): Promise<true | null>;
}
