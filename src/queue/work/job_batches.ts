import { checkDuration, checkFunction, checkWhole, MAX_TIMER } from "../../checks.ts";
import type { OptionNames } from "../../options.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { CONSUME_OPTIONS, type ConsumeOptions } from "./consume_options.ts";
import { callHandler } from "./handler_scope.ts";
import type { Job } from "./job.ts";
import type { JobHandler } from "./job_handler.ts";

/**
 * How {@linkcode JobQueue.consumeBatches} works: `concurrency` counts batches here.
 *
 * @category Jobs
 */
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

/** All names of {@linkcode BatchOptions}. */
export const BATCH_OPTIONS: OptionNames<BatchOptions> = { ...CONSUME_OPTIONS, size: true, wait: true };

/**
 * Handles a batch: what it returns has the outcome of each job at its place, an `Error` for one that failed. To throw fails all of them.
 *
 * @category Jobs
 */
export type BatchHandler<T> = (jobs: Job<T>[]) => unknown;

/** What batches need of their queue. */
type BatchQueue = Pick<QueueContext, "context" | "observed">;

interface Waiting<T> {
  job: Job<T>;
  /** Tells whether it is to run, now. */
  begin: (runs: boolean) => void;
}

/** Gathers jobs that run at the same time into batches. */
export class JobBatches<T> implements JobHandler<T> {
  readonly #queue: BatchQueue;
  readonly #handler: BatchHandler<T>;
  readonly #size: number;
  readonly #wait: number;
  readonly #concurrency: number;
  /** Of the jobs whose batch has begun. */
  readonly #outcomes: WeakMap<Job<T>, Promise<unknown>> = new WeakMap();
  #waiting: Waiting<T>[] = [];
  #running = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /**
   * @throws {TypeError | RangeError} If an option is wrong.
   */
  constructor(
    queue: BatchQueue,
    handler: BatchHandler<T>,
    options: Pick<BatchOptions, "size" | "wait" | "concurrency">,
  ) {
    const { size = 100, wait = 10, concurrency = 1 } = options;
    checkFunction(handler, "consume batches", "handler");
    checkWhole(size, "consume batches", "size", 1);
    checkWhole(concurrency, "consume batches", "concurrency", 1);
    checkDuration(wait, "consume batches", "wait", 0, MAX_TIMER);
    this.#queue = queue;
    this.#handler = handler;
    this.#size = size;
    this.#wait = wait;
    this.#concurrency = concurrency;
  }

  /** Jobs that may run at the same time, over all batches. */
  get jobs(): number {
    return this.#size * this.#concurrency;
  }

  /** Adds a job to the next batch: resolves when that begins. */
  begin(job: Job<T>): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false);
    return new Promise((begin) => {
      this.#waiting.push({ job, begin });
      if (this.#waiting.length >= this.#size) this.#beginBatches();
      else this.#timer ??= setTimeout(() => this.#beginBatches(), this.#wait);
    });
  }

  /** The outcome of a job whose batch has begun. */
  run(job: Job<T>): Promise<unknown> | undefined {
    return this.#outcomes.get(job);
  }

  /** Begins no more batches: jobs that wait for one are given back. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const { begin } of this.#waiting.splice(0)) begin(false);
  }

  #beginBatches(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What was cancelled or lost while it waited is not to run.
    this.#waiting = this.#waiting.filter(({ job: { signal }, begin }) => {
      if (signal.aborted) begin(false);
      return !signal.aborted;
    });
    while (this.#waiting.length > 0 && this.#running < this.#concurrency) {
      this.#runBatch(this.#waiting.splice(0, this.#size));
    }
  }

  async #runBatch(batch: Waiting<T>[]): Promise<void> {
    this.#running++;
    const outcomes = this.#handle(batch.map(({ job }) => job));
    for (const [i, { job, begin }] of batch.entries()) {
      const outcome = outcomes.then((outcomes) => outcomeAt(outcomes, i));
      // Nobody looks at it if the job has timed out.
      outcome.catch(() => {});
      this.#outcomes.set(job, outcome);
      begin(true);
    }
    // A job that has timed out makes room for others whether its handler ends or not, and so does a batch of such jobs.
    const aborted = Promise.all(batch.map(({ job: { signal } }) => whenAborted(signal)));
    await Promise.race([outcomes.catch(() => {}), aborted]);
    this.#running--;
    this.#beginBatches();
  }

  async #handle(jobs: Job<T>[]): Promise<unknown> {
    const { context, observed } = this.#queue;
    const handle = async () => await callHandler(this.#handler, jobs, jobs);
    const run = context.telemetry.processBatch(observed, jobs);
    return await (run ? run.run(() => run.within(handle)) : handle());
  }
}

function outcomeAt(outcomes: unknown, place: number): unknown {
  const outcome: unknown = Array.isArray(outcomes) ? outcomes[place] : undefined;
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
