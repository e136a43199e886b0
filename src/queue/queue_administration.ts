import type { AttemptOptions } from "../connection/attempts.ts";
import { cancelJob } from "./manage/cancel_job.ts";
import { listDeadLetters, type ListDeadLettersOptions, listedBefore } from "./store/dead_letter_list.ts";
import { type DeadLetter, discardDeadLetter, findDeadLetter, readDeadLetter } from "./store/dead_letters.ts";
import { findJob, type JobInfo } from "./store/find_job.ts";
import { countJobs, type JobCounts } from "./manage/job_counts.ts";
import { destroyQueue } from "./manage/destroy_queue.ts";
import { EventSender, type EventsOptions, followEvents, type JobEvent } from "./store/job_events.ts";
import { checkData } from "./format/job_schema.ts";
import { type ActiveLimits, checkLimits, limitActive } from "./manage/limit_active.ts";
import { jobList, listJobs, type ListJobsOptions } from "./manage/list_jobs.ts";
import { checkPause, pauseEnd, type PauseOptions, pauseQueue } from "./manage/pause_queue.ts";
import { purgeJobs } from "./manage/purge_jobs.ts";
import type { JobReceipt } from "./publish/publish_job.ts";
import { callQueue, type QueueCall, REMOVAL } from "./store/queue_call.ts";
import { idToken, lookUpTokens } from "./format/queue_names.ts";
import type { QueueParts } from "./store/queue_parts.ts";
import { redriveAll, redriveJob } from "./manage/redrive_job.ts";
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
import { checkWait, waitForJob, type WaitOptions } from "./manage/wait_for_job.ts";

/** Looks after one queue: what is in it, what has failed, when it runs. It needs no consumer in this process. */
export abstract class QueueAdministration<T = unknown> {
  readonly #parts: QueueParts<T>;

  /** @ignore Made as part of a {@linkcode JobQueue}. */
  constructor(parts: QueueParts<T>) {
    this.#parts = parts;
  }

  /** The queue's name. */
  get name(): string {
    return this.#parts.names.queue;
  }

  /**
   * Looks a job up by its id.
   *
   * @returns `null` if it is not in the queue, or without a connection.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async get(id: string): Promise<JobInfo<T> | null> {
    return await this.#lookUp(id, "look the job up", (call, token) => findJob<T>(call, token));
  }

  /**
   * The jobs that are in the queue, oldest first within each priority, fetched by page as they are asked for.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection, and when the list breaks off.
   * @throws {TypeError | RangeError} If an option is wrong.
   */
  jobs(options?: ListJobsOptions): AsyncGenerator<JobInfo<T>, void> {
    return listJobs<T>(this.#parts, jobList(this.#parts.names, options));
  }

  /**
   * Takes a job out of the queue, whether it waits, is delayed or runs, in any process: a running one's `signal` aborts.
   *
   * @returns `false`: there was none; `null`: nobody can tell.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async cancel(id: string): Promise<boolean | null> {
    const known = { deleted: false, unsure: false };
    return await this.#lookUp(id, "cancel the job", async (call, token) => {
      const cancelled = await cancelJob(call, token, known);
      if (cancelled) new EventSender(call.names).send(call.session, token, "cancelled");
      return cancelled;
    });
  }

  /** How many jobs there are; `null` if there is no such queue, or no connection. */
  async counts(): Promise<JobCounts | null> {
    return await callQueue(this.#parts, countJobs);
  }

  /**
   * The dead letters, newest first, fetched by page as they are asked for.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection, and when the list breaks off.
   * @throws {TypeError | RangeError} If an option is wrong.
   */
  deadLetters(options?: ListDeadLettersOptions): AsyncGenerator<DeadLetter<T>, void> {
    return listDeadLetters<T>(this.#parts, listedBefore(options));
  }

  /**
   * The dead letter of an id, or `null`: there is none, or no connection.
   *
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async deadLetter(id: string): Promise<DeadLetter<T> | null> {
    return await this.#lookUp(id, "look the dead letter up", async (call, token) => {
      const letter = await findDeadLetter(call, token);
      return letter && readDeadLetter<T>(letter);
    });
  }

  /**
   * Makes a dead letter a job again, or all of them; their attempts start anew. One whose id is in the queue stays a dead letter, and so does
   * another client's that leaves no room for the headers of a job: of all, the log tells which.
   *
   * @returns How many became jobs; `null` without a connection, or if it broke off.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long; if the one dead letter is too large.
   */
  async redrive(id: string | "all"): Promise<number | null> {
    if (id === "all") return await redriveAll(this.#parts);
    const redrive = { removing: false };
    return await this.#lookUp(id, "redrive the job", async (call, token) => {
      const letter = await findDeadLetter(call, token);
      if (!letter) return redrive.removing ? 1 : 0;
      return await redriveJob(call, this.#parts.publisher, letter, redrive) ? 1 : 0;
    });
  }

  /**
   * Removes a dead letter for good.
   *
   * @returns `false`: there was none; `null`: not confirmed.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async discard(id: string): Promise<boolean | null> {
    return await this.#lookUp(id, "discard the dead letter", discardDeadLetter, REMOVAL);
  }

  /**
   * Removes all jobs, those that run included (they end, but report nothing); schedules and dead letters stay.
   *
   * @returns How many; `null`: not confirmed.
   */
  async purge(): Promise<number | null> {
    return await callQueue(this.#parts, purgeJobs, REMOVAL);
  }

  /**
   * Removes the queue with all its jobs, schedules, dead letters and results. Streams and buckets of others that only have such a name stay. Workers
   * of the queue say so once, and wait until a publish, or a new worker, makes the queue again.
   *
   * @returns `false`: there was none; `null`: not confirmed.
   * @throws {JetStreamStoreError} `wrong_kind`, if the stream is not a queue of this library.
   */
  async destroy(): Promise<boolean | null> {
    return await callQueue(this.#parts, destroyQueue, REMOVAL);
  }

  /**
   * What the handler of a job returned, if the job was published with `keepResult`.
   *
   * @returns `null` if nothing is kept, or without a connection.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async result(id: string): Promise<{ value: unknown } | null> {
    const token = idToken(id, "load the result");
    const kept = await callQueue(this.#parts, (call) => this.#parts.results.result(call, token));
    return kept && { value: kept.value };
  }

  /**
   * Waits until a job is done, in whatever process. It outlives reconnects.
   *
   * @param options `timeout`: milliseconds.
   * @returns What the handler returned, if the job was published with `keepResult`: that makes the wait certain. Of any other job: `undefined`, when
   * it is seen to leave the queue; one that left it before, right behind its publish for instance, looks like one that never was.
   * @throws {JobFailedError} If it is a dead letter, was cancelled, or had not started in time.
   * @throws {DOMException} `TimeoutError`, if it is not seen done within the timeout; the message says what is known of it.
   * @throws {JetStreamStoreError} `disconnected`, if the stores are closed, or no server is configured.
   * @throws {TypeError | RangeError} If an argument is wrong.
   */
  async waitFor(id: string, options: WaitOptions): Promise<unknown> {
    const token = idToken(id, "wait for the job");
    return await waitForJob(this.#parts, token, checkWait(options));
  }

  /**
   * What happens to the jobs, live, from all workers; nothing of it is stored. `started`, `progress` and `completed` come within a second of the
   * beginning, since workers send them only while somebody listens.
   *
   * For a reader slower than the events, the newest 10 000 of them wait, at most 8 MiB; that older ones are dropped is logged.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) if there is no connection when it begins. It goes on after
   * a reconnect, and ends with the loop, with `signal`, and when the stores are closed.
   */
  events(options?: EventsOptions): AsyncGenerator<JobEvent, void> {
    return followEvents(this.#parts.context, this.#parts.names, options);
  }

  /**
   * Keeps a schedule on the server, in place of the one of its id if there is one: it makes a job each time, without any process of ours.
   * Runs that are due while no worker is there, or while the last one goes on in the same process, collapse into one. Needs nats-server 2.14.
   *
   * @returns `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If an option is wrong; of a cron expression, the message shows the field.
   * @throws {JetStreamStoreError} `unsupported`, if the server is too old.
   */
  async schedule(id: string, given: ScheduleOptions<T>): Promise<true | null> {
    const { context, names, schema } = this.#parts;
    const options = checkScheduleOptions(given);
    const schedule = prepareSchedule(names, idToken(id, "keep the schedule"), options);
    if (schema) await checkData(schema, options.data, "keep the schedule", context.timeout);
    return await this.#confirm((call) => storeSchedule(call, schedule));
  }

  /**
   * Removes a schedule; the jobs it has made stay.
   *
   * @returns `false`: there was none; `null`: not confirmed.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async unschedule(id: string): Promise<boolean | null> {
    const token = idToken(id, "remove the schedule");
    return await callQueue(this.#parts, (call) => removeSchedule(call, token), REMOVAL);
  }

  /**
   * The schedules, with their next runs.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection.
   */
  schedules(): AsyncGenerator<ScheduleInfo<T>, void> {
    return listSchedules<T>(this.#parts);
  }

  /**
   * Publishes the job of a schedule now, beside those that it makes by itself. Like these it has the id `@` and the schedule's id, and runs behind one
   * that runs.
   *
   * @returns The receipt; `null` if there is no such schedule, or it is not confirmed.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async runNow(id: string): Promise<JobReceipt | null> {
    return await runSchedule(this.#parts, idToken(id, "run the schedule"));
  }

  /**
   * Stops the server from handing out jobs; those that run go on. It makes the queue if there is none. Needs nats-server 2.11.
   *
   * @param until When it goes on by itself, at once if that is past; absent: when `resume()` is called.
   * @param options `priority`: only this one.
   * @returns `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If an argument is wrong.
   * @throws {JetStreamStoreError} `unsupported`, if the server is too old.
   */
  async pause(until?: Date, options?: PauseOptions): Promise<true | null> {
    const end = pauseEnd(until);
    const which = checkPause(options, "pause the queue");
    return await this.#confirm((call) => pauseQueue(call, end, which));
  }

  /**
   * Lets the server hand out jobs again; workers fetch them at once.
   *
   * @param options `priority`: only this one.
   * @returns `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If an option is wrong.
   * @throws {JetStreamStoreError} `unsupported`, if the server is too old.
   */
  async resume(options?: PauseOptions): Promise<true | null> {
    const which = checkPause(options, "resume the queue");
    return await this.#confirm((call) => pauseQueue(call, null, which));
  }

  /**
   * Limits how many jobs may be with workers at the same time, over all processes, enforced by the server; prefetched ones count. It
   * makes the queue if there is none.
   *
   * @param limits By priority; `null` lifts a limit, and what is absent stays.
   * @returns `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If a limit is wrong.
   */
  async limitActive(limits: ActiveLimits): Promise<true | null> {
    checkLimits(limits);
    return await this.#confirm((call) => limitActive(call, limits));
  }

  #confirm(operation: (call: QueueCall) => Promise<unknown>): Promise<true | null> {
    return callQueue(this.#parts, (call) => operation(call).then(() => true as const));
  }

  /** Does something with the job, or the dead letter, of an id. */
  async #lookUp<R>(
    id: string,
    doing: string,
    operation: (call: QueueCall, token: string) => Promise<R>,
    options?: Partial<AttemptOptions>,
  ) {
    const [token, tick] = lookUpTokens(id, doing);
    return await callQueue(this.#parts, async (call) => {
      const done = await operation(call, token);
      return done || tick === undefined ? done : await operation(call, tick);
    }, options);
  }
}
