import type { Delivery } from "../delivery/delivery.ts";
import { jsonText } from "../format/json_text.ts";
import type { Priority } from "../format/queue_names.ts";
import type { Admission } from "../format/run_outcome.ts";

/**
 * One run of a job, as its handler sees it.
 *
 * @example A handler that can be stopped, and runs again later when it fails
 * ```ts
 * import type { Job } from "@supercheck/jetstream";
 *
 * async function check({ data, signal, attempt }: Job<{ url: string }>) {
 *   const { ok, status } = await fetch(data.url, { signal });
 *   if (!ok) throw new Error(`Attempt ${attempt}: status ${status}`);
 *   return status;
 * }
 * console.log(check.name);
 * ```
 *
 * @category Jobs
 */
export interface Job<T = unknown> {
  /** The job's id. */
  readonly id: string;
  /** Its queue. */
  readonly queue: string;
  /** What was published. */
  readonly data: T;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** Attempts before the job goes to the dead letters. */
  readonly maxAttempts: number;
  /**
   * How often the server delivered this attempt, this time included. More than once does not mean that it ran before: a worker may have died with
   * it, but a delivery can also be lost on its way. Of a job with a `key`, earlier attempts count, too.
   */
  readonly deliveries: number;
  /** How often the job was postponed before, by a `RetryJobError`. */
  readonly postponed: number;
  /** When it was first published. */
  readonly enqueuedAt: Date;
  /** How urgent it is. */
  readonly priority: Priority;
  /** The headers that its publisher gave, and, where that one has telemetry, the trace: `traceparent` and `tracestate`. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Grows with each run of the job, moved copies included. A handler's own writes can refuse what is not newer (`<=`) than the last fence they
   * saw for the job: a worker that lost its lease cannot overwrite its successor.
   */
  readonly fence: number;
  /** Aborts when the run is to end: its timeout, a cancel from any process, a lost lease, the shutdown's deadline. */
  readonly signal: AbortSignal;
  /**
   * Tells whoever listens to the queue's events how far it is, and keeps the last value for a day.
   *
   * @param value Any JSON value.
   * @returns `null` if it is not confirmed; a handler need not wait for it.
   * @throws {TypeError | RangeError} If the value is no JSON value, or too large for a message.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  progress(value: unknown): Promise<true | null>;
}

/** What the runs of one worker share. */
export interface RunContext {
  readonly queue: string;
  /** Unless the job says. */
  readonly maxAttempts: number;
  /** @param value JSON. */
  progress(delivery: Delivery, attempt: number, value: string): Promise<true | null>;
}

/** A job that runs in this process. */
export class RunningJob<T> implements Job<T> {
  readonly #delivery: Delivery;
  readonly #context: RunContext;
  readonly data: T;
  readonly attempt: number;
  readonly postponed: number;

  constructor(delivery: Delivery, context: RunContext, data: T, { attempt, postponed }: Admission) {
    this.#delivery = delivery;
    this.#context = context;
    this.data = data;
    this.attempt = attempt;
    this.postponed = postponed;
  }

  /** Notes which call of a handler got the job; 0: that has ended. */
  static noteCall(job: Job, call: number): void {
    if (#delivery in job) job.#delivery.call = call;
  }

  get id(): string {
    return this.#delivery.id;
  }

  get queue(): string {
    return this.#context.queue;
  }

  get maxAttempts(): number {
    return this.#delivery.headers.maxAttempts ?? this.#context.maxAttempts;
  }

  get deliveries(): number {
    return this.#delivery.attemptDeliveries;
  }

  get enqueuedAt(): Date {
    return this.#delivery.enqueuedAt;
  }

  get priority(): Priority {
    return this.#delivery.priority;
  }

  get headers(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#delivery.headers.own);
  }

  get fence(): number {
    return this.#delivery.fence;
  }

  get signal(): AbortSignal {
    return this.#delivery.signal;
  }

  progress(value: unknown): Promise<true | null> {
    const stored = this.#store(value);
    // Avoids an unhandled rejection if the handler does not await.
    stored.catch(() => {});
    return stored;
  }

  async #store(value: unknown): Promise<true | null> {
    const text = jsonText(value, "report the progress", "value");
    return await this.#context.progress(this.#delivery, this.attempt, text);
  }
}
