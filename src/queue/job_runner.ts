import { RetryJobError, UnrecoverableJobError } from "../errors.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "./delivery.ts";
import type { JobBatches } from "./job_batches.ts";
import { type Job, RunningJob, type Workplace } from "./job.ts";
import type { RunEnd } from "./job_consumer_status.ts";
import { readJobData } from "./job_data.ts";
import { describeIssues, type JobSchema } from "./job_schema.ts";
import { callQueue } from "./queue_call.ts";
import type { QueueParts } from "./queue_parts.ts";
import { DEFAULT_BACKOFF, retryDelay } from "./retry_backoff.ts";
import type { RunReporter } from "./run_reporter.ts";
import { messageOf } from "./thrown.ts";

/** Runs deliveries: decides whether a job is to be run, calls its handler, and has the end reported. */
export class JobRunner<T> {
  readonly #parts: QueueParts<T>;
  readonly #settings: ConsumeSettings;
  readonly #handler: (job: Job<T>) => unknown;
  readonly #reporter: RunReporter;
  readonly #batches: JobBatches<T> | undefined;
  readonly #workplace: Workplace;

  constructor(
    parts: QueueParts<T>,
    settings: ConsumeSettings,
    handler: (job: Job<T>) => unknown,
    reporter: RunReporter,
    batches?: JobBatches<T>,
  ) {
    this.#parts = parts;
    this.#settings = settings;
    this.#handler = handler;
    this.#reporter = reporter;
    this.#batches = batches;
    this.#workplace = {
      queue: parts.names.queue,
      maxAttempts: settings.maxAttempts,
      progress: (delivery, attempt, value) => this.#progress(delivery, attempt, value),
    };
  }

  /**
   * Runs a delivery to its reported end.
   *
   * @param handled Called when the handler has ended, before that is reported.
   */
  async run(delivery: Delivery, handled: (delivery: Delivery) => void): Promise<RunEnd | "given_back"> {
    const { headers } = delivery;
    const attempt = this.#isUsual(delivery) ? headers.attempt : await this.#admit(delivery);
    if (typeof attempt === "string") return attempt;
    let data: T;
    try {
      data = readBody(delivery) as T;
      if (this.#parts.schema) data = await check(data, this.#parts.schema);
    } catch (error) {
      return await this.#bury(delivery, error, attempt - 1);
    }
    if (delivery.released) return "let_go";
    const job = new RunningJob<T>(delivery, this.#workplace, data, attempt);
    if (this.#batches && !await this.#batches.join(job)) {
      return await this.#reporter.giveBack(delivery) ? "given_back" : "let_go";
    }
    this.#reporter.tell(delivery, "started", { attempt });
    try {
      let value: unknown;
      try {
        const { timeout = this.#settings.timeout } = headers;
        value = await (timeout === undefined ? this.#handler(job) : this.#callWithin(job, delivery, timeout));
      } finally {
        handled(delivery);
      }
      const { keepResult } = headers;
      if (keepResult !== undefined && !await this.#reporter.keepResult(delivery, value, keepResult)) return "let_go";
    } catch (error) {
      // A result that cannot be kept is a failure like any other.
      return delivery.ours ? await this.#fail(delivery, job, error) : "let_go";
    }
    if (!await this.#reporter.finish(delivery)) return "let_go";
    this.#reporter.tell(delivery, "completed");
    return "completed";
  }

  /** Whether nothing needs to be asked or done before it runs: so it is with most of them, which are to wait for nothing. */
  #isUsual({ headers, handedOut, tick, sequence, storedAt }: Delivery): boolean {
    return handedOut === 1 && !tick && headers.expiresAt === undefined && headers.replaces === undefined &&
      !this.#reporter.hasEnded(sequence, storedAt);
  }

  /** Asks and does what comes before a run. Returns the number of the attempt, or how the delivery ended without a run. */
  async #admit(delivery: Delivery): Promise<number | RunEnd> {
    const { headers, handedOut, deliveries } = delivery;
    const reporter = this.#reporter;
    if (reporter.hasEnded(delivery.sequence, delivery.storedAt)) return await this.#finish(delivery, "skipped");
    if (headers.expiresAt && headers.expiresAt.getTime() <= reporter.now()) {
      // One that keeps its place keeps its expiry, too: also after it has started.
      const past = deliveries > 1 && !reporter.movable(delivery) ? await reporter.pastRuns(delivery) : undefined;
      if (past === null) return "let_go";
      if (!past) return await this.#finish(delivery, "expired");
    }
    if (delivery.tick) {
      // Ticks that were collected while no worker was there count as one.
      const superseded = await reporter.isSuperseded(delivery);
      if (superseded !== false) return superseded ? await this.#finish(delivery, "skipped") : "let_go";
    }
    let attempt: number | RunEnd = headers.attempt;
    if (reporter.movable(delivery)) {
      if (handedOut > this.#settings.maxDeliveries) return await this.#bury(delivery, poison(handedOut), attempt - 1);
      if (deliveries > 1) return await this.#renew(delivery);
    } else if (deliveries > 1) {
      attempt = await this.#attemptInPlace(delivery);
      if (typeof attempt === "string") return attempt;
    }
    return await reporter.clearReplaced(delivery) ? attempt : "let_go";
  }

  /**
   * Moves a job that a worker died with, instead of running it in its place: the server hands out a redelivered message once more at each of
   * its restarts and changes of leader, however fresh its lease, but not a new one.
   */
  async #renew(delivery: Delivery): Promise<RunEnd> {
    const moved = await this.#reporter.putBack(delivery, { deliveries: delivery.handedOut - 1 });
    // Only if the server says that a newer copy exists already: a job whose copy was not stored must not be taken off the queue.
    return moved === false ? await this.#finish(delivery, "skipped") : moved ? "skipped" : "let_go";
  }

  /** The attempt of a job that keeps its place: nothing in its message can tell, so it is kept aside. */
  async #attemptInPlace(delivery: Delivery): Promise<number | RunEnd> {
    const { maxDeliveries } = this.#settings;
    const past = await this.#reporter.pastRuns(delivery);
    if (past === null) return "let_go";
    const attempts = past?.attempts ?? 0;
    if (delivery.deliveries > maxDeliveries) {
      // Deliveries include those that were only given back, so from here on starts are counted.
      const starts = (past?.starts ?? 0) + 1;
      if (starts > maxDeliveries) return await this.#bury(delivery, poison(delivery.deliveries), attempts);
      if (!await this.#reporter.keepPastRuns(delivery, { attempts, starts })) return "let_go";
    }
    return attempts + 1;
  }

  async #callWithin(job: Job<T>, delivery: Delivery, timeout: number): Promise<unknown> {
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const error = new DOMException(`The attempt took longer than its ${timeout} ms`, "TimeoutError");
      delivery.abort(error);
      reject(error);
    }, timeout);
    try {
      return await Promise.race([this.#handler(job), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #fail(delivery: Delivery, { attempt, maxAttempts }: Job<T>, error: unknown): Promise<RunEnd> {
    if (error instanceof RetryJobError) return await this.#again(delivery, "postponed", attempt, error.delay);
    const reason = messageOf(error);
    this.#reporter.tell(delivery, "failed", { attempt, reason });
    if (error instanceof UnrecoverableJobError || attempt >= maxAttempts) {
      return await this.#bury(delivery, error, attempt);
    }
    const end = await this.#again(delivery, "retried", attempt + 1, this.#retryDelay(delivery, attempt, error));
    if (end === "retried") this.#reporter.tell(delivery, end, { reason });
    return end;
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
    const back = await this.#reporter.putBack(delivery, { attempt, delay, deliveries: 0 });
    if (back) return end;
    // A newer tick of its schedule will run in its place.
    const superseded = back === false && await this.#reporter.isSuperseded(delivery);
    return superseded ? await this.#finish(delivery, "skipped") : "let_go";
  }

  async #bury(delivery: Delivery, error: unknown, attempts: number): Promise<RunEnd> {
    if (!await this.#reporter.bury(delivery, error, attempts)) return "let_go";
    this.#reporter.tell(delivery, "dead", { reason: messageOf(error) });
    return "dead";
  }

  async #finish(delivery: Delivery, end: "skipped" | "expired"): Promise<RunEnd> {
    if (!await this.#reporter.finish(delivery)) return "let_go";
    if (end === "expired") this.#reporter.tell(delivery, end);
    return end;
  }

  async #progress(delivery: Delivery, attempt: number, value: unknown): Promise<true | null> {
    this.#reporter.tell(delivery, "progress", { attempt, value });
    return await callQueue(
      this.#parts,
      (call) => this.#parts.results.storeProgress(call, delivery.token, value).then(() => true as const),
    );
  }
}

async function check<T>(data: unknown, schema: JobSchema<T>): Promise<T> {
  const checked = await schema["~standard"].validate(data);
  if (!checked.issues) return checked.value as T;
  throw new UnrecoverableJobError(`The job's data does not fit the queue's schema: ${describeIssues(checked.issues)}`);
}

function poison(deliveries: number): UnrecoverableJobError {
  return new UnrecoverableJobError(
    `The job was handed out ${deliveries - 1} times and nobody reported an end: it seems to kill its workers`,
  );
}

function readBody(delivery: Delivery): unknown {
  try {
    return readJobData(delivery.data);
  } catch (cause) {
    throw new UnrecoverableJobError(`The job's body is not JSON: ${messageOf(cause)}`, { cause });
  }
}
