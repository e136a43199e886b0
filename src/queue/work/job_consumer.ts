import { checkDuration, MAX_TIMER } from "../../checks.ts";
import { checkOptions } from "../../options.ts";
import type { Context } from "../../wire/context.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import { callersRuns, outsideHandlers } from "./handler_scope.ts";
import { type JobConsumerStatus, STOP_OPTIONS, type StopOptions, type StopSummary } from "./job_consumer_status.ts";
import type { JobHandler } from "./job_handler.ts";
import { Worker } from "./_worker.ts";

/** Milliseconds that a stop waits for running jobs, unless its caller says. */
const STOP_DEADLINE_MS = 10_000;

/**
 * Fetches jobs and runs them, until it is stopped.
 *
 * @example Until the end of a block
 * ```ts
 * import { close, jobQueue } from "@supercheck/jetstream";
 *
 * {
 *   await using consumer = jobQueue<string>("greetings").consume((job) => {
 *     console.log(`Hello ${job.data}`);
 *   });
 *   console.log(consumer.status().state);
 * }
 * await close();
 * ```
 *
 * @category Jobs
 */
export class JobConsumer<T = unknown> implements AsyncDisposable {
  readonly #context: Context;
  readonly #worker: Worker<T>;
  readonly #closed = Promise.withResolvers<void>();
  readonly #closer = (deadline: number) => this.#end("close() was called", deadline).then(() => {});
  #stop: Promise<StopSummary> | null = null;

  /** Made by {@linkcode JobQueue.consume}. */
  constructor(queue: QueueContext<T>, settings: ConsumeSettings, handler: JobHandler<T>) {
    this.#context = queue.context;
    this.#worker = new Worker(queue, settings, handler);
    this.#context.closers.add(this.#closer);
    const abort = () => this.#end("its signal aborted");
    if (settings.signal?.aborted) abort();
    else settings.signal?.addEventListener("abort", abort, { once: true, signal: this.#worker.over });
  }

  /** Resolves when it has stopped. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Its state, and what it has done so far. */
  status(): JobConsumerStatus {
    return this.#worker.status();
  }

  /**
   * Takes no more jobs, gives back those that have not started, and waits for those that run. A handler of the worker may await it: its own run is
   * not waited for then, and ends after it.
   *
   * @throws {TypeError | RangeError} If an option is unknown, or the deadline is negative.
   */
  stop(options?: StopOptions): Promise<StopSummary> {
    const { deadline } = checkOptions(options, STOP_OPTIONS, "stop the consumer");
    if (deadline !== undefined) checkDuration(deadline, "stop the consumer", "deadline", 0);
    return this.#end("stop() was called", deadline);
  }

  /** Stops it with the default deadline. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("its scope ended");
  }

  /** @param deadline A repeat with a shorter one hastens the end. */
  #end(cause: string, deadline: number = this.#stop ? MAX_TIMER : STOP_DEADLINE_MS): Promise<StopSummary> {
    const { stopping, over } = this.#worker;
    stopping.limit(deadline, over);
    this.#stop ??= outsideHandlers(() => this.#stopWorker(cause));
    const own = callersRuns(this.#context).filter((run) => this.#worker.isRunning(run));
    if (own.length === 0) return this.#stop;
    stopping.calledBy(own);
    const others = stopping.othersIdle.then(() => ({ givenBack: this.#worker.givenBack, abandoned: [] }));
    return Promise.race([this.#stop, others]);
  }

  async #stopWorker(cause: string): Promise<StopSummary> {
    const { stopping } = this.#worker;
    await stopping.within(this.#worker.drain());
    await stopping.within(this.#worker.giveBackWaiting());
    stopping.begin();
    await stopping.within(stopping.idle);
    const summary = this.#worker.end(cause);
    this.#context.closers.delete(this.#closer);
    this.#closed.resolve();
    return summary;
  }
}
