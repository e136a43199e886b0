import { Unavailable } from "../connection/unavailable.ts";
import { RetryJobError, UnrecoverableJobError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import { leaderGet } from "../wire/direct_get.ts";
import { insist } from "../wire/insist.ts";
import type { Session } from "../wire/session.ts";
import { deleteMessage } from "../wire/streams.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import { storeDeadLetter } from "./dead_letters.ts";
import type { Delivery } from "./delivery.ts";
import { type Job, RunningJob } from "./job.ts";
import { EventSender, type JobEvent } from "./job_events.ts";
import { readJobData } from "./job_data.ts";
import type { PastRuns } from "./job_results.ts";
import { describeIssues, type JobSchema } from "./job_schema.ts";
import { moveJob } from "./move_job.ts";
import type { QueueNames } from "./queue_names.ts";
import type { QueueParts } from "./queue_parts.ts";
import { DEFAULT_BACKOFF, retryDelay } from "./retry_backoff.ts";
import { messageOf } from "./thrown.ts";

/** How a delivery ended. */
export type RunEnd =
  /** The handler returned. */
  | { type: "completed" }
  /** It failed and runs again. */
  | { type: "retried"; reason: string }
  /** It asked to run again, without having failed. */
  | { type: "postponed" }
  /** It is a dead letter. */
  | { type: "dead"; reason: string }
  /** It had not started when its `ttl` was over. */
  | { type: "expired" }
  /** It needed no run: it is done already, or a newer copy of it exists. */
  | { type: "skipped" }
  /** Its end could not be reported: it was cancelled, its lease was lost, or the server did not answer; who has it now will. */
  | { type: "let_go" };

/** Ended jobs that are remembered, so that a redelivery after a lost confirmation is acknowledged and not run: this many, and as many before them. */
const MEMORY = 5_000;

/** Milliseconds after which an unanswered acknowledgement is sent again. */
const FIRST_TRY = 1_000;

/** Milliseconds that a job waits between two runs at most, whatever its handler or a backoff function asks for. */
const MAX_WAIT = 365 * 86_400_000;

/** A run that ended without having been reported; the reason stands in the run's signal. */
const LET_GO: RunEnd = { type: "let_go" };

/** Runs deliveries and reports how they ended: an acknowledgement, a move or a dead letter, each confirmed by the server. */
export class JobRunner<T> {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #parts: QueueParts<T>;
  readonly #settings: ConsumeSettings;
  readonly #handler: (job: Job<T>) => unknown;
  readonly #events: EventSender;
  /** When the messages of these sequences were stored. */
  #ended: Map<number, string> = new Map();
  #endedBefore: Map<number, string> = new Map();
  #session: Session | null = null;
  /** Whether the server has schedules: without them, jobs are not moved but handed back with a delay, and attempts are deliveries. */
  #moves = true;

  constructor(parts: QueueParts<T>, settings: ConsumeSettings, handler: (job: Job<T>) => unknown) {
    this.#context = parts.context;
    this.#names = parts.names;
    this.#parts = parts;
    this.#settings = settings;
    this.#handler = handler;
    this.#events = new EventSender(parts.names);
  }

  /** The consumer works over this session from now on. */
  serve(session: Session): void {
    this.#session = session;
    this.#moves = session.server.atLeast("2.12");
  }

  /**
   * Runs a delivery to its reported end.
   *
   * @param started Called with the job right before its handler.
   */
  async run(delivery: Delivery, started: (job: RunningJob<T>) => void): Promise<RunEnd> {
    const end = await this.#run(delivery, started);
    if (isEvent(end.type)) this.#tell(delivery, end.type, { ...("reason" in end && { reason: end.reason }) });
    return end;
  }

  async #run(delivery: Delivery, started: (job: RunningJob<T>) => void): Promise<RunEnd> {
    const { headers, deliveries } = delivery;
    if (this.#hasEnded(delivery)) return await this.#finish(delivery, { type: "skipped" });
    if (headers.expiresAt && headers.expiresAt.getTime() <= Date.now()) {
      return await this.#finish(delivery, { type: "expired" });
    }
    if (deliveries > 1 || headers.replaces !== undefined) {
      const superseded = await this.#clearOtherCopy(delivery);
      if (superseded === null) return LET_GO;
      if (superseded) return await this.#finish(delivery, { type: "skipped" });
    }
    const attempt = this.#movable(delivery) || deliveries === 1
      ? headers.attempt
      : await this.#attemptInPlace(delivery);
    if (attempt === null) return LET_GO;
    if (this.#movable(delivery) && deliveries > this.#settings.maxDeliveries) {
      return await this.#bury(delivery, poison(deliveries), attempt);
    }
    let data: T;
    try {
      data = this.#parts.schema ? await this.#check(readBody(delivery), this.#parts.schema) : readBody(delivery) as T;
    } catch (error) {
      return await this.#bury(delivery, error, attempt);
    }
    const job = new RunningJob<T>(delivery, {
      queue: this.#names.queue,
      data,
      attempt,
      maxAttempts: headers.maxAttempts ?? this.#settings.maxAttempts,
      progress: (value) => this.#progress(delivery, attempt, value),
    });
    started(job);
    if (job.letGo) return LET_GO;
    this.#tell(delivery, "started", { attempt });
    let value: unknown;
    try {
      value = await this.#call(job, headers.timeout ?? this.#settings.timeout);
    } catch (error) {
      return job.letGo ? LET_GO : await this.#fail(delivery, job, error);
    }
    if (job.letGo) return LET_GO;
    if (headers.keepResult !== undefined && !await this.#keep(delivery, value, headers.keepResult)) return LET_GO;
    return await this.#finish(delivery, { type: "completed" });
  }

  /** Puts a delivery that has not started back, for whoever is next; it costs the job no attempt. */
  async giveBack(delivery: Delivery): Promise<boolean> {
    if (this.#movable(delivery)) {
      return (await this.#move(delivery, { type: "postponed" }, delivery.headers.attempt, 0)).type === "postponed";
    }
    return await this.#confirm(delivery, "-NAK");
  }

  /** Tells the server that the job is still worked on; resolves to whether it knows. */
  async extend(delivery: Delivery, lease: number): Promise<void> {
    const sent = performance.now();
    if (await this.#confirm(delivery, "+WPI")) delivery.leaseUntil = sent + lease;
  }

  /**
   * The attempt of a job that stays in its place: nothing in its message can tell, so it is kept aside.
   *
   * @returns `null` if nobody can tell now, or the job has become a dead letter.
   */
  async #attemptInPlace(delivery: Delivery): Promise<number | null> {
    if (!delivery.keyed) return delivery.deliveries;
    const { results } = this.#parts;
    const { maxDeliveries } = this.#settings;
    const past = await this.#insist(delivery, (session, deadline) => results.pastRuns(session, delivery, deadline));
    if (!past || delivery.deliveries <= maxDeliveries) return past && past.attempts + 1;
    // Deliveries include those that were only given back, so from here on starts are counted.
    const starts = past.starts + 1;
    if (starts > maxDeliveries) {
      await this.#bury(delivery, poison(delivery.deliveries), past.attempts + 1);
      return null;
    }
    return await this.#keepRuns(delivery, { attempts: past.attempts, starts }) ? past.attempts + 1 : null;
  }

  async #keepRuns(delivery: Delivery, runs: PastRuns): Promise<boolean> {
    return await this.#insist(delivery, async (session, deadline) => {
      await this.#parts.results.storePastRuns(session, delivery, runs, deadline);
      return true;
    }) ?? false;
  }

  /** Jobs with a key keep their place, since their order is the point. */
  #movable(delivery: Delivery): boolean {
    return this.#moves && !delivery.keyed;
  }

  async #check(data: unknown, schema: JobSchema<T>): Promise<T> {
    const checked = await schema["~standard"].validate(data);
    if (!checked.issues) return checked.value as T;
    throw new UnrecoverableJobError(
      `The job's data does not fit the queue's schema: ${describeIssues(checked.issues)}`,
    );
  }

  async #call(job: RunningJob<T>, timeout: number | undefined): Promise<unknown> {
    if (timeout === undefined) return await this.#handler(job);
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new DOMException(`The attempt took longer than its ${timeout} ms`, "TimeoutError");
      job.abort(error);
      reject(error);
    }, timeout);
    try {
      return await Promise.race([this.#handler(job), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #fail(delivery: Delivery, job: RunningJob<T>, error: unknown): Promise<RunEnd> {
    const { attempt, maxAttempts } = job;
    if (error instanceof RetryJobError) return await this.#move(delivery, { type: "postponed" }, attempt, error.delay);
    this.#tell(delivery, "failed", { attempt, reason: messageOf(error) });
    if (error instanceof UnrecoverableJobError || attempt >= maxAttempts) {
      return await this.#bury(delivery, error, attempt);
    }
    const delay = this.#retryDelay(delivery, attempt, error);
    return await this.#move(delivery, { type: "retried", reason: messageOf(error) }, attempt + 1, delay);
  }

  #retryDelay({ headers }: Delivery, attempt: number, error: unknown): number {
    try {
      return retryDelay(headers.backoff ?? this.#settings.backoff, attempt, error);
    } catch (failure) {
      this.#context.logger.warn(
        `The 'backoff' function of queue ${this.#names.queue} failed, so its job waits as by default: ${
          messageOf(failure)
        }`,
      );
      return retryDelay(DEFAULT_BACKOFF, attempt, error);
    }
  }

  async #move(delivery: Delivery, end: RunEnd, attempt: number, wait: number): Promise<RunEnd> {
    const delay = Math.min(wait, MAX_WAIT);
    if (!this.#movable(delivery)) {
      if (
        delivery.keyed && end.type === "retried" &&
        !await this.#keepRuns(delivery, { attempts: attempt - 1, starts: 0 })
      ) return LET_GO;
      const nak = delay > 0 ? `-NAK {"delay": ${Math.round(delay * 1e6)}}` : "-NAK";
      return await this.#confirm(delivery, nak) ? end : LET_GO;
    }
    const moved = await this.#insist(
      delivery,
      (session, deadline) => moveJob(session, this.#names, delivery, { attempt, delay }, deadline),
    );
    return moved ? await this.#finish(delivery, end) : LET_GO;
  }

  /** Stores the dead letter before the job leaves the queue. */
  async #bury(delivery: Delivery, error: unknown, attempts: number): Promise<RunEnd> {
    const stored = await this.#insist(delivery, async (session, deadline) => {
      await storeDeadLetter(session, this.#names, this.#parts.stream, delivery, { error, attempts }, deadline);
      return true;
    });
    return stored ? await this.#finish(delivery, { type: "dead", reason: messageOf(error) }) : LET_GO;
  }

  /** Takes the job's message off the queue. */
  async #finish(delivery: Delivery, end: RunEnd): Promise<RunEnd> {
    this.#remember(delivery);
    if (!delivery.orphaned) return await this.#confirm(delivery, "+ACK") ? end : LET_GO;
    // The consumer that handed it out is gone: one made again would take the acknowledgement for another's.
    const { stream } = this.#names;
    const gone = await this.#insist(
      delivery,
      (session, deadline) => deleteMessage(session, stream, delivery.sequence, deadline).then(() => true),
    );
    return gone ? end : LET_GO;
  }

  /** A result is stored before its job leaves the queue. */
  async #keep(delivery: Delivery, value: unknown, ttl: number): Promise<boolean> {
    return await this.#insist(delivery, async (session, deadline) => {
      await this.#parts.results.storeResult(session, delivery.token, value, ttl, deadline);
      return true;
    }) ?? false;
  }

  async #progress(delivery: Delivery, attempt: number, value: unknown): Promise<true | null> {
    this.#tell(delivery, "progress", { attempt, value });
    return await this.#context.connection.attempt(async (session, deadline) => {
      await this.#parts.results.storeProgress(session, delivery.token, value, deadline);
      return true as const;
    }, { timeout: this.#context.timeout });
  }

  #tell(delivery: Delivery, type: JobEvent["type"], details: Partial<JobEvent>): void {
    const session = this.#session;
    if (session && !session.signal.aborted) this.#events.send(session, delivery.token, type, details);
  }

  async #confirm(delivery: Delivery, word: string): Promise<boolean> {
    const session = this.#session;
    if (session && !session.signal.aborted) {
      try {
        await session.requests.request(
          delivery.ack,
          word,
          Math.min(delivery.leaseUntil, performance.now() + FIRST_TRY),
        );
        return true;
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
      }
    }
    return await this.#insist(delivery, async (session, deadline) => {
      await session.requests.request(delivery.ack, word, deadline);
      return true;
    }) ?? false;
  }

  /** Does what reports a delivery's end, over reconnects, for as long as the job is ours. */
  async #insist<R>(delivery: Delivery, report: (session: Session, deadline: number) => Promise<R>): Promise<R | null> {
    const timeout = delivery.leaseUntil - performance.now();
    if (timeout <= 0) return null;
    return await this.#context.connection.attempt(
      (session, deadline) => insist(deadline, (deadline) => report(session, deadline)),
      { timeout, persist: true, patient: true },
    );
  }

  /**
   * A job that was handed out before, or moved, may exist twice for a moment: the older copy goes.
   *
   * @returns Whether this delivery is the older one; `null` if nobody can tell now.
   */
  #clearOtherCopy(delivery: Delivery): Promise<boolean | null> {
    const { stream } = this.#names;
    const { token, sequence } = delivery;
    const { replaces } = delivery.headers;
    return this.#insist(delivery, async (session, deadline) => {
      if (replaces !== undefined && replaces < sequence) {
        const old = await leaderGet(session, stream, { seq: replaces }, deadline);
        if (old?.subject.endsWith(`.${token}`)) await deleteMessage(session, stream, replaces, deadline);
      }
      if (delivery.deliveries === 1) return false;
      const newest = await leaderGet(session, stream, { last_by_subj: this.#names.idFilter(token) }, deadline);
      return newest === null || newest.sequence > sequence;
    });
  }

  #remember(delivery: Delivery): void {
    this.#ended.set(delivery.sequence, delivery.storedAt);
    if (this.#ended.size < MEMORY) return;
    this.#endedBefore = this.#ended;
    this.#ended = new Map();
  }

  #hasEnded({ sequence, storedAt }: Delivery): boolean {
    return this.#ended.get(sequence) === storedAt || this.#endedBefore.get(sequence) === storedAt;
  }
}

function poison(deliveries: number): UnrecoverableJobError {
  return new UnrecoverableJobError(
    `The job was handed out ${deliveries - 1} times and nobody reported an end: it seems to kill its workers`,
  );
}

function isEvent(type: RunEnd["type"]): type is RunEnd["type"] & JobEvent["type"] {
  return type === "completed" || type === "retried" || type === "dead" || type === "expired";
}

function readBody(delivery: Delivery): unknown {
  try {
    return readJobData(delivery.data);
  } catch (cause) {
    throw new UnrecoverableJobError(`The job's body is not JSON: ${messageOf(cause)}`, { cause });
  }
}
