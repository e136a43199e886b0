import { RetryJobError, UnrecoverableJobError } from "../errors.ts";
import type { Session } from "../wire/session.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "./delivery.ts";
import { type Job, RunningJob } from "./job.ts";
import { EventSender, type JobEvent } from "./job_events.ts";
import { readJobData } from "./job_data.ts";
import { describeIssues, type JobSchema } from "./job_schema.ts";
import { RunReporter } from "./run_reporter.ts";
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

/** A run that ended without having been reported; the reason stands in the run's signal. */
const LET_GO: RunEnd = { type: "let_go" };

/** Runs deliveries: decides whether a job is to be run, calls its handler, and has the end reported. */
export class JobRunner<T> {
  readonly #parts: QueueParts<T>;
  readonly #settings: ConsumeSettings;
  readonly #handler: (job: Job<T>) => unknown;
  readonly #reporter: RunReporter;
  readonly #events: EventSender;
  #session: Session | null = null;

  constructor(parts: QueueParts<T>, settings: ConsumeSettings, handler: (job: Job<T>) => unknown) {
    this.#parts = parts;
    this.#settings = settings;
    this.#handler = handler;
    this.#reporter = new RunReporter(parts);
    this.#events = new EventSender(parts.names);
  }

  /** The consumer works over this session from now on. */
  serve(session: Session): void {
    this.#session = session;
    this.#reporter.serve(session);
  }

  /**
   * Runs a delivery to its reported end.
   *
   * @param started Called with the job right before its handler.
   * @param handled Called when the handler has ended, before that is reported.
   */
  async run(delivery: Delivery, started: (job: RunningJob<T>) => void, handled: () => void): Promise<RunEnd> {
    const { headers, handedOut } = delivery;
    const reporter = this.#reporter;
    if (this.hasEnded(delivery.sequence, delivery.storedAt)) return await this.#finish(delivery, { type: "skipped" });
    if (headers.expiresAt && headers.expiresAt.getTime() <= (this.#session?.now() ?? Date.now())) {
      return await this.#finish(delivery, { type: "expired" });
    }
    if (delivery.tick) {
      // Ticks that were collected while no worker was there count as one.
      const superseded = await reporter.isSuperseded(delivery);
      if (superseded !== false) return superseded ? await this.#finish(delivery, { type: "skipped" }) : LET_GO;
    }
    const movable = reporter.movable(delivery);
    const attempt = movable || delivery.deliveries === 1 ? headers.attempt : await this.#attemptInPlace(delivery);
    if (attempt === null) return LET_GO;
    if (movable && handedOut > this.#settings.maxDeliveries) {
      return await this.#bury(delivery, poison(handedOut), attempt - 1);
    }
    if (movable && delivery.deliveries > 1) return await this.#renew(delivery);
    if (headers.replaces !== undefined && !await reporter.clearReplaced(delivery)) return LET_GO;
    let data: T;
    try {
      data = this.#parts.schema ? await this.#check(readBody(delivery), this.#parts.schema) : readBody(delivery) as T;
    } catch (error) {
      return await this.#bury(delivery, error, attempt - 1);
    }
    const job = new RunningJob<T>(delivery, {
      queue: this.#parts.names.queue,
      data,
      attempt,
      maxAttempts: headers.maxAttempts ?? this.#settings.maxAttempts,
      progress: (value) => this.#progress(delivery, attempt, value),
    });
    started(job);
    if (job.letGo) return LET_GO;
    this.#tell(delivery, "started", { attempt });
    try {
      const value = await this.#handle(job, headers.timeout ?? this.#settings.timeout, handled);
      const { keepResult } = headers;
      if (keepResult !== undefined && !job.letGo && !await reporter.keepResult(delivery, value, keepResult)) {
        return LET_GO;
      }
    } catch (error) {
      // A result that cannot be kept is a failure like any other.
      return job.letGo ? LET_GO : await this.#fail(delivery, job, error);
    }
    if (job.letGo) return LET_GO;
    return await this.#finish(delivery, { type: "completed" });
  }

  /** Tells whoever listens how a run ended. */
  announce(delivery: Delivery, end: RunEnd): void {
    if (isEvent(end.type)) this.#tell(delivery, end.type, "reason" in end ? { reason: end.reason } : {});
  }

  /** Whether the run of this message has ended here; `storedAt` as in {@linkcode RunReporter.hasEnded}. */
  hasEnded(sequence: number, storedAt: string): boolean {
    return this.#reporter.hasEnded(sequence, storedAt);
  }

  /** Ends a delivery that needs no run. */
  async skip(delivery: Delivery): Promise<RunEnd> {
    return await this.#finish(delivery, { type: "skipped" });
  }

  /** Puts a delivery that has not started back, for whoever is next; it costs the job no attempt. */
  async giveBack(delivery: Delivery): Promise<boolean> {
    // A tick that is moved would be refused where a newer one waits.
    if (!this.#reporter.movable(delivery) || delivery.tick) return await this.#reporter.handBack(delivery, 0);
    const { attempt, deliveries } = delivery.headers;
    return await this.#reporter.move(delivery, { attempt, deliveries, delay: 0, started: false }) === true;
  }

  /** A delivery has come. */
  touch(delivery: Delivery, lease: number): void {
    this.#reporter.touch(delivery, lease);
  }

  /** Extends the lease of a delivery. */
  async extend(delivery: Delivery, lease: number): Promise<void> {
    await this.#reporter.extend(delivery, lease);
  }

  /**
   * Moves a job that a worker died with, instead of running it in its place: the server hands out a redelivered message once more at each of
   * its restarts and changes of leader, however fresh its lease, but not a new one. The move is refused if a newer copy exists already.
   */
  async #renew(delivery: Delivery): Promise<RunEnd> {
    const { attempt } = delivery.headers;
    const moved = await this.#reporter.move(delivery, {
      attempt,
      deliveries: delivery.handedOut - 1,
      delay: 0,
      started: true,
    });
    // Only if the server says that there is a newer one: a job whose copy was not stored must not be taken off the queue.
    if (moved === null) return LET_GO;
    return moved ? { type: "skipped" } : await this.#finish(delivery, { type: "skipped" });
  }

  /**
   * The attempt of a job that keeps its place: nothing in its message can tell, so it is kept aside.
   *
   * @returns `null` if nobody can tell now, or the job has become a dead letter.
   */
  async #attemptInPlace(delivery: Delivery): Promise<number | null> {
    const { maxDeliveries } = this.#settings;
    const past = await this.#reporter.pastRuns(delivery);
    if (!past || delivery.deliveries <= maxDeliveries) return past && past.attempts + 1;
    // Deliveries include those that were only given back, so from here on starts are counted.
    const starts = past.starts + 1;
    if (starts > maxDeliveries) {
      await this.#bury(delivery, poison(delivery.deliveries), past.attempts);
      return null;
    }
    return await this.#reporter.keepPastRuns(delivery, { attempts: past.attempts, starts }) ? past.attempts + 1 : null;
  }

  async #check(data: unknown, schema: JobSchema<T>): Promise<T> {
    const checked = await schema["~standard"].validate(data);
    if (!checked.issues) return checked.value as T;
    throw new UnrecoverableJobError(
      `The job's data does not fit the queue's schema: ${describeIssues(checked.issues)}`,
    );
  }

  async #handle(job: RunningJob<T>, timeout: number | undefined, handled: () => void): Promise<unknown> {
    try {
      return await (timeout === undefined ? this.#handler(job) : this.#callWithin(job, timeout));
    } finally {
      handled();
    }
  }

  async #callWithin(job: RunningJob<T>, timeout: number): Promise<unknown> {
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
    if (error instanceof RetryJobError) return await this.#again(delivery, { type: "postponed" }, attempt, error.delay);
    const reason = messageOf(error);
    this.#tell(delivery, "failed", { attempt, reason });
    if (error instanceof UnrecoverableJobError || attempt >= maxAttempts) {
      return await this.#bury(delivery, error, attempt);
    }
    return await this.#again(
      delivery,
      { type: "retried", reason },
      attempt + 1,
      this.#retryDelay(delivery, attempt, error),
    );
  }

  #retryDelay({ headers }: Delivery, attempt: number, error: unknown): number {
    try {
      return retryDelay(headers.backoff ?? this.#settings.backoff, attempt, error);
    } catch (failure) {
      this.#parts.context.logger.warn(
        `The 'backoff' function of queue ${this.#parts.names.queue} failed, so its job waits as by default: ${
          messageOf(failure)
        }`,
      );
      return retryDelay(DEFAULT_BACKOFF, attempt, error);
    }
  }

  async #again(delivery: Delivery, end: RunEnd, attempt: number, delay: number): Promise<RunEnd> {
    const reporter = this.#reporter;
    if (reporter.movable(delivery)) {
      if (await reporter.move(delivery, { attempt, delay, deliveries: 0, started: true })) return end;
      // A newer tick of its schedule will run in its place.
      return await reporter.isSuperseded(delivery) ? await this.#finish(delivery, { type: "skipped" }) : LET_GO;
    }
    if (!await reporter.keepPastRuns(delivery, { attempts: attempt - 1, starts: 0 })) return LET_GO;
    return await reporter.handBack(delivery, delay) ? end : LET_GO;
  }

  async #bury(delivery: Delivery, error: unknown, attempts: number): Promise<RunEnd> {
    return await this.#reporter.bury(delivery, error, attempts) ? { type: "dead", reason: messageOf(error) } : LET_GO;
  }

  async #finish(delivery: Delivery, end: RunEnd): Promise<RunEnd> {
    return await this.#reporter.finish(delivery) ? end : LET_GO;
  }

  async #progress(delivery: Delivery, attempt: number, value: unknown): Promise<true | null> {
    this.#tell(delivery, "progress", { attempt, value });
    const { context, results } = this.#parts;
    return await context.connection.attempt(async (session, deadline) => {
      await results.storeProgress(session, delivery.token, value, deadline);
      return true as const;
    }, { timeout: context.timeout });
  }

  #tell(delivery: Delivery, type: JobEvent["type"], details: Partial<JobEvent>): void {
    const session = this.#session;
    if (session && !session.signal.aborted) this.#events.send(session, delivery.token, type, details);
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
