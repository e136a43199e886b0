import type { Delivery } from "./delivery.ts";
import type { Priority } from "./queue_names.ts";

/** One run of a job, as its handler sees it. */
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
  /** How often the server handed out this attempt, this time included: more than once means that a worker died with it. */
  readonly deliveries: number;
  /** When it was first published. */
  readonly enqueuedAt: Date;
  /** How urgent it is. */
  readonly priority: Priority;
  /** The headers that its publisher gave. */
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
   * @throws {TypeError} If the value is no JSON value.
   */
  progress(value: unknown): Promise<true | null>;
}

/** What a run needs of its surroundings. */
export interface RunSettings<T> {
  queue: string;
  data: T;
  attempt: number;
  maxAttempts: number;
  progress: (value: unknown) => Promise<true | null>;
}

/** A job that runs in this process. */
export class RunningJob<T> implements Job<T> {
  readonly #delivery: Delivery;
  readonly #settings: RunSettings<T>;
  #controller: AbortController | null = null;
  #aborted: { reason: unknown } | null = null;
  #letGo = false;

  constructor(delivery: Delivery, settings: RunSettings<T>) {
    this.#delivery = delivery;
    this.#settings = settings;
  }

  get id(): string {
    return this.#delivery.id;
  }

  get queue(): string {
    return this.#settings.queue;
  }

  get data(): T {
    return this.#settings.data;
  }

  get attempt(): number {
    return this.#settings.attempt;
  }

  get maxAttempts(): number {
    return this.#settings.maxAttempts;
  }

  get deliveries(): number {
    return this.#delivery.handedOut;
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
    // Made when somebody asks: most handlers never do, and a controller costs as much as the rest of a run.
    this.#controller ??= new AbortController();
    if (this.#aborted) this.#controller.abort(this.#aborted.reason);
    return this.#controller.signal;
  }

  async progress(value: unknown): Promise<true | null> {
    if (JSON.stringify(value) === undefined) {
      throw new TypeError(
        `Cannot report the progress as 'value' must be a JSON value: current value is of type ${typeof value}`,
      );
    }
    return await this.#settings.progress(value);
  }

  /** Ends the run from outside. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }

  /** Ends the run from outside, because the job is no longer this worker's: however the handler ends, nothing is reported. */
  release(reason: unknown): void {
    this.#letGo = true;
    this.abort(reason);
  }

  /** Whether the job is no longer this worker's. */
  get letGo(): boolean {
    return this.#letGo;
  }
}
