import { checkDuration, checkFunction, checkWhole, MAX_TIMER } from "../checks.ts";
import type { ConsumeOptions } from "./consume_options.ts";
import type { Job } from "./job.ts";

/** How {@linkcode JobQueue.consumeBatches} works: `concurrency` counts batches here. */
export interface BatchOptions extends ConsumeOptions {
  /**
   * Jobs that one batch has at most.
   *
   * @default {100}
   */
  size?: number;
  /**
   * Milliseconds that the first job of a batch waits for others.
   *
   * @default {10}
   */
  wait?: number;
}

/** Handles a batch: what it returns has the outcome of each job at its place, an `Error` for one that failed. To throw fails all of them. */
export type BatchHandler<T> = (jobs: Job<T>[]) => unknown;

interface Waiting<T> {
  job: Job<T>;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

/** Gathers jobs that run at the same time into batches. */
export class JobBatches<T> {
  readonly #handler: BatchHandler<T>;
  readonly #size: number;
  readonly #wait: number;
  readonly #concurrency: number;
  #waiting: Waiting<T>[] = [];
  #running = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @throws {TypeError | RangeError} If an option is wrong. */
  constructor(handler: BatchHandler<T>, options: BatchOptions) {
    const { size = 100, wait = 10, concurrency = 1 } = options;
    checkFunction(handler, "consume batches", "handler");
    checkWhole(size, "consume batches", "size", 1);
    checkDuration(wait, "consume batches", "wait", 0, MAX_TIMER);
    this.#handler = handler;
    this.#size = size;
    this.#wait = wait;
    this.#concurrency = concurrency;
  }

  /** Jobs that may run at the same time, over all batches. */
  get jobs(): number {
    return this.#size * this.#concurrency;
  }

  /** Handles one job, as part of a batch. */
  handle(job: Job<T>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      if (this.#waiting.length >= this.#size) this.#begin();
      else this.#timer ??= setTimeout(() => this.#begin(), this.#wait);
    });
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What was cancelled, timed out or lost while it waited is not to run.
    this.#waiting = this.#waiting.filter(({ job: { signal }, reject }) => {
      if (signal.aborted) reject(signal.reason);
      return !signal.aborted;
    });
    while (this.#waiting.length > 0 && this.#running < this.#concurrency) {
      this.#run(this.#waiting.splice(0, this.#size));
    }
  }

  async #run(batch: Waiting<T>[]): Promise<void> {
    this.#running++;
    try {
      const outcomes = await this.#handler(batch.map(({ job }) => job));
      batch.forEach(({ resolve, reject }, i) => {
        const outcome: unknown = Array.isArray(outcomes) ? outcomes[i] : undefined;
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#running--;
    this.#begin();
  }
}
