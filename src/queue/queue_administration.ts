import type { Context } from "../wire/context.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { deleteMessage, deleteStream } from "../wire/streams.ts";
import { checkText } from "../wire/tokens.ts";
import { cancelJob } from "./cancel_job.ts";
import { deadLetterMessages } from "./dead_letter_list.ts";
import { type DeadLetter, findDeadLetter, readDeadLetter } from "./dead_letters.ts";
import { findJob, type JobInfo } from "./find_job.ts";
import { listFilters, listJobs, type ListJobsOptions } from "./list_jobs.ts";
import { EventSender, type EventsOptions, followEvents, type JobEvent } from "./job_events.ts";
import { type ActiveLimits, checkLimits, limitActive } from "./limit_active.ts";
import { pausedConsumers, pauseEnd, type PauseOptions, pauseQueue } from "./pause_queue.ts";
import type { QueueParts } from "./queue_parts.ts";
import {
  listSchedules,
  prepareSchedule,
  removeSchedule,
  type ScheduleInfo,
  type ScheduleOptions,
  storeSchedule,
} from "./schedules.ts";
import { waitForJob } from "./wait_for_job.ts";
import { listingStep } from "../wire/listing.ts";
import { checkDuration } from "../wire/durations.ts";
import { countJobs, type JobCounts } from "./job_counts.ts";
import { idToken, lookUpTokens, type QueueNames } from "./queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";
import { purgeJobs } from "./purge_jobs.ts";
import { redriveJob } from "./redrive_job.ts";

/** Options of {@linkcode JobQueue.waitFor}. */
export interface WaitOptions {
  /** Milliseconds that it waits at most. */
  timeout: number;
}

/** Looks after one queue: what is in it, what has failed, when it runs. It needs no consumer in this process. */
export abstract class QueueAdministration<T = unknown> {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #stream: QueueStream;
  readonly #parts: QueueParts<T>;

  /** @ignore Made as part of a {@linkcode JobQueue}. */
  constructor(parts: QueueParts<T>) {
    this.#context = parts.context;
    this.#names = parts.names;
    this.#stream = parts.stream;
    this.#parts = parts;
  }

  /** The queue's name. */
  get name(): string {
    return this.#names.queue;
  }

  /**
   * Looks a job up by its id.
   *
   * @returns `null` if it is not in the queue, or without a connection.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async get(id: string): Promise<JobInfo<T> | null> {
    return await this.#lookUp(
      id,
      "look the job up",
      (token, session, deadline) => findJob<T>(session, this.#names, this.#stream, token, deadline),
    );
  }

  /**
   * The jobs that are in the queue, oldest first within each priority, fetched by page as they are asked for.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection, and when the list breaks off.
   * @throws {RangeError} If an option is wrong.
   */
  jobs(options: ListJobsOptions = {}): AsyncGenerator<JobInfo<T>, void> {
    return listJobs<T>(this.#context, this.#names, this.#stream, listFilters(this.#names, options));
  }

  /**
   * Takes a job out of the queue, whether it waits, is delayed or runs, in any process: a running one's `signal` aborts.
   *
   * @returns `false`: there was none; `null`: nobody can tell.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async cancel(id: string): Promise<boolean | null> {
    const call = { deleted: false, unsure: false };
    return await this.#lookUp(id, "cancel the job", async (token, session, deadline) => {
      const cancelled = await cancelJob(session, this.#names, token, call, deadline);
      if (cancelled) new EventSender(this.#names).send(session, token, "cancelled");
      return cancelled;
    });
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
    if (id !== "all") {
      return await this.#lookUp(id, "redrive the job", async (token, session, deadline) => {
        const letter = await findDeadLetter(session, this.#names, token, deadline);
        return letter ? await this.#redrive(session, letter, deadline) : 0;
      });
    }
    let redriven = 0;
    try {
      for await (const letter of deadLetterMessages(this.#context, this.#names)) {
        const done = await this.#attempt((session, deadline) => this.#redrive(session, letter, deadline));
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
    return await this.#lookUp(id, "discard the dead letter", async (token, session, deadline) => {
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
    return await this.#attempt((session, deadline) => purgeJobs(session, this.#names, this.#stream, deadline));
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

  /**
   * What the handler of a job returned, if the job was published with `keepResult`.
   *
   * @returns `null` if nothing is kept, or without a connection.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async result(id: string): Promise<{ value: unknown } | null> {
    const token = checkId(id, "load the result");
    const kept = await this.#attempt((session, deadline) => this.#parts.results.result(session, token, deadline));
    return kept && { value: kept.value };
  }

  /**
   * Waits until a job is done, in whatever process. It outlives reconnects.
   *
   * @param options `timeout`: milliseconds.
   * @returns What the handler returned, if the job was published with `keepResult`. Of any other job: `undefined`, when it is seen to leave
   * the queue; one that had left it before, and kept nothing, looks like one that never was.
   * @throws {JobFailedError} If it is a dead letter, was cancelled, or had not started in time.
   * @throws {DOMException} `TimeoutError`, if it is not done within the timeout.
   * @throws {TypeError | RangeError} If an argument is wrong.
   */
  async waitFor(id: string, options: WaitOptions): Promise<unknown> {
    const token = checkId(id, "wait for the job");
    const { timeout } = options;
    checkDuration(timeout, "wait for the job", "timeout", 0);
    return await waitForJob(this.#parts, token, timeout);
  }

  /**
   * What happens to the jobs, live, from all workers; nothing of it is stored. `started`, `progress` and `completed` come within a second of the
   * beginning, since workers send them only while somebody listens.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) if there is no connection when it begins. It goes on after
   * a reconnect, and ends with the loop, with `signal`, and when the stores are closed.
   */
  events(options: EventsOptions = {}): AsyncGenerator<JobEvent, void> {
    return followEvents(this.#context, this.#names, options);
  }

  /**
   * Keeps a schedule on the server, in place of the one of its id if there is one: it makes a job each time, without any process of ours.
   * Runs that are due while no worker is there, or while the last one goes on in the same process, collapse into one. Needs nats-server 2.14.
   *
   * @returns `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If an option is wrong; of a cron expression, the message shows the field.
   * @throws {JetStreamStoreError} `unsupported`, if the server is too old.
   */
  async schedule(id: string, options: ScheduleOptions<T>): Promise<true | null> {
    const schedule = prepareSchedule(this.#names, checkId(id, "keep the schedule"), options);
    return await this.#attempt(async (session, deadline) => {
      await this.#stream.open(session, deadline);
      await storeSchedule(session, this.#names, schedule, deadline);
      return true as const;
    });
  }

  /**
   * Removes a schedule; the jobs it has made stay.
   *
   * @returns `false`: there was none; `null`: not confirmed.
   * @throws {TypeError | RangeError} If the id is no text, is empty or too long.
   */
  async unschedule(id: string): Promise<boolean | null> {
    const token = checkId(id, "remove the schedule");
    return await this.#attempt((session, deadline) => removeSchedule(session, this.#names, token, deadline));
  }

  /**
   * The schedules, with their next runs.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection.
   */
  async *schedules(): AsyncGenerator<ScheduleInfo<T>, void> {
    yield* await listingStep(
      this.#context,
      `The schedules of queue ${this.name}`,
      (session, deadline) => listSchedules<T>(session, this.#names, deadline),
    );
  }

  /**
   * Stops the server from handing out jobs; those that run go on. Needs nats-server 2.11.
   *
   * @param until When it goes on by itself; absent: when `resume()` is called.
   * @param options `priority`: only this one.
   * @returns `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If an argument is wrong.
   * @throws {JetStreamStoreError} `unsupported`, if the server is too old.
   */
  async pause(until?: Date, options: PauseOptions = {}): Promise<true | null> {
    return await this.#pause(pauseEnd(until), options);
  }

  /**
   * Lets the server hand out jobs again; workers fetch them at once.
   *
   * @param options `priority`: only this one.
   * @returns `null` if it is not confirmed.
   * @throws {RangeError} If the priority is none.
   * @throws {JetStreamStoreError} `unsupported`, if the server is too old.
   */
  async resume(options: PauseOptions = {}): Promise<true | null> {
    return await this.#pause(null, options);
  }

  /**
   * Limits how many jobs may be with workers at the same time, over all processes, enforced by the server; prefetched ones count.
   *
   * @param limits By priority; `null` lifts a limit, and what is absent stays.
   * @returns `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If a limit is wrong.
   */
  async limitActive(limits: ActiveLimits): Promise<true | null> {
    checkLimits(limits);
    return await this.#attempt(async (session, deadline) => {
      await limitActive(session, this.#stream, limits, deadline);
      return true as const;
    });
  }

  #pause(until: Date | null, options: PauseOptions): Promise<true | null> {
    const consumers = pausedConsumers(options);
    return this.#attempt(async (session, deadline) => {
      await pauseQueue(session, this.#names, this.#stream, { until, consumers }, deadline);
      return true as const;
    });
  }

  async #redrive(session: Session, letter: StoredMessage, deadline: number): Promise<number> {
    return await redriveJob(session, this.#names, this.#parts.publisher, letter, deadline) ? 1 : 0;
  }

  /** Does something with the job, or the dead letter, of an id. */
  async #lookUp<R>(
    id: string,
    doing: string,
    operation: (token: string, session: Session, deadline: number) => Promise<R>,
  ): Promise<R | null> {
    const [token, tick] = lookUpTokens(id, doing);
    return await this.#attempt(async (session, deadline) => {
      const done = await operation(token, session, deadline);
      return done || tick === undefined ? done : await operation(tick, session, deadline);
    });
  }

  #attempt<R>(operation: (session: Session, deadline: number) => Promise<R>): Promise<R | null> {
    return this.#context.connection.attempt(operation, { timeout: this.#context.timeout });
  }
}

function checkId(id: string, doing: string): string {
  checkText(id, doing, "id");
  return idToken(id, doing);
}
