import { checkDuration, MAX_TIMER } from "../../checks.ts";
import type { Context } from "../../wire/context.ts";
import { checkOptions } from "../../options.ts";
import type { Session } from "../../wire/session.ts";
import { type ConsumeOptions, consumeSettings } from "./consume_options.ts";
import { DeletedJobs } from "./_deleted_jobs.ts";
import type { Delivery } from "../source/delivery.ts";
import { DeliveryCalls } from "./delivery_calls.ts";
import { callersJobs, callHandler, outsideHandlers } from "./handler_scope.ts";
import { HeldJobs } from "../source/held_jobs.ts";
import { JobSource } from "../source/job_source.ts";
import { type Job, RunningJob } from "./job.ts";
import type { JobBatches } from "./job_batches.ts";
import {
  type JobConsumerStatus,
  NO_ENDS,
  type RunEnd,
  STOP_OPTIONS,
  type StopOptions,
  type StopSummary,
} from "./job_consumer_status.ts";
import { JobRescue } from "./job_rescue.ts";
import { JobRunner } from "./job_runner.ts";
import { LeaseKeeper } from "./lease_keeper.ts";
import type { QueueParts } from "../store/queue_parts.ts";
import { Capacity } from "../source/capacity.ts";
import { RunReporter } from "./run_reporter.ts";
import type { RunRequirements } from "./run_requirements.ts";
import { Stopping } from "./_stopping.ts";
import { WorkerLog } from "./_worker_log.ts";
import { answerForWorker } from "./_worker_presence.ts";

/** Milliseconds after which a job that was fetched ahead, by our own guess, and has not started is given back. */
const HOLD = 1_000;

/** Fetches jobs and runs them, until it is stopped. */
export class JobConsumer<T = unknown> implements AsyncDisposable {
  readonly #context: Context;
  readonly #batches: JobBatches<T> | undefined;
  readonly #requirements: RunRequirements;
  readonly #reporter: RunReporter;
  readonly #runner: JobRunner<T>;
  readonly #source: JobSource;
  readonly #rescue: JobRescue;
  readonly #held: HeldJobs;
  readonly #capacity: Capacity;
  readonly #leases: LeaseKeeper;
  readonly #over = new AbortController();
  readonly #closed = Promise.withResolvers<void>();
  readonly #stopFollowing: () => void;
  readonly #closer = (deadline: number) => this.#end("close() was called", deadline).then(() => {});
  readonly #ended: JobConsumerStatus["ended"] = { ...NO_ENDS };
  #state: JobConsumerStatus["state"] = "connecting";
  #reason: string | null = null;
  #stop: Promise<StopSummary> | null = null;
  readonly #stopping: Stopping;
  readonly #log: WorkerLog;
  #givenBack = 0;
  #limitTimer: ReturnType<typeof setTimeout> | undefined;

  /** Made by {@linkcode JobQueue.consume}. */
  constructor(
    parts: QueueParts<T>,
    handler: (job: Job<T>) => unknown,
    options?: ConsumeOptions,
    batches?: JobBatches<T>,
  ) {
    const settings = consumeSettings(handler, options);
    this.#context = parts.context;
    this.#batches = batches;
    this.#held = new HeldJobs(parts.context.ticking, parts.names);
    this.#log = new WorkerLog(parts.context.logger, parts.names.queue);
    this.#stopping = new Stopping(this.#held);
    const calls = new DeliveryCalls(parts, this.#over.signal, () => this.#goOn());
    this.#requirements = calls.requirements;
    this.#capacity = new Capacity(settings, this.#held, this.#requirements);
    this.#reporter = new RunReporter(
      parts,
      calls,
      (delivery, type, details) => this.#log.event(delivery, type, details),
    );
    const call = (job: Job<T>) => callHandler(parts.context, [job], () => handler(job));
    this.#runner = new JobRunner(parts, settings, call, { reporter: this.#reporter, calls }, batches);
    const hold = settings.prefetch === undefined ? HOLD : Infinity;
    this.#leases = new LeaseKeeper(this.#held, { reporter: this.#reporter, calls }, this.#log, hold, {
      looked: () => this.#goOn(),
      late: (delivery) => this.#giveBack(delivery),
      stopped: () => this.#source.reopen("the process was stopped for a while"),
      hopes: () => this.#context.connection.isOn,
    });
    const deleted = new DeletedJobs(parts, this.#held, this.#log, (delivery) => {
      this.#release((held) => held.isOf(delivery), "The job was cancelled");
    });
    this.#source = new JobSource(parts, settings, {
      deliver: (delivery, waited) => this.#take(delivery, waited),
      wanted: () => this.#capacity.wanted,
      room: () => this.#capacity.room,
      held: (consumer) => this.#held.of(consumer).length,
      leased: (lease) => this.#leases.lease = lease,
      serves: (state, reason) => this.#serves(state, reason),
      deleted: (sequence) => deleted.look(sequence),
      orphaned: (consumer) => this.#orphan(consumer),
      replaced: () => this.#release(() => true, "The queue was deleted"),
      opened: (session, created) => calls.opened(session, created),
      unsure: () => calls.unsure(),
    }, this.#over.signal);
    this.#rescue = new JobRescue(parts, (sequence, storedAt, firing) => {
      if (parts.ended.has(sequence, String(storedAt))) return "ended";
      if (firing !== undefined && parts.ended.hasFiring(firing)) return "ended";
      return this.#held.has(sequence) || parts.ended.hasOutcome(sequence, String(storedAt)) ? "held" : undefined;
    }, this.#over.signal);
    this.#context.closers.add(this.#closer);
    this.#stopFollowing = this.#context.connection.follow((session) => this.#serve(session));
    answerForWorker(parts, settings, () => this.status(), this.#over.signal);
    this.#leases.look();
    const abort = () => this.#end("its signal aborted");
    if (settings.signal?.aborted) abort();
    else settings.signal?.addEventListener("abort", abort, { once: true, signal: this.#over.signal });
  }

  /** Resolves when it has stopped. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** How it fares. */
  status(): JobConsumerStatus {
    return {
      ...this.#requirements.stateOf(this.#state, this.#reason ?? this.#context.connection.failure),
      active: this.#held.running.size,
      prefetched: this.#held.waiting.size,
      ended: { ...this.#ended },
    };
  }

  /**
   * Takes no more jobs, gives back those that have not started, and waits for those that run. A handler of the worker may await it: its own run is
   * not waited for then, and ends behind it.
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
  #end(cause: string, deadline: number = this.#stop ? MAX_TIMER : 10_000): Promise<StopSummary> {
    this.#stopping.limit(deadline, this.#over.signal);
    this.#stop ??= outsideHandlers(() => this.#stopSoon(cause));
    const callers = callersJobs(this.#context).map((job) => RunningJob.deliveryOf(job)).filter((run) =>
      run !== undefined
    );
    const own = callers.filter((run) => this.#held.running.get(run.sequence) === run);
    if (own.length === 0) return this.#stop;
    this.#stopping.calledBy(own);
    const others = this.#stopping.othersIdle.then(() => ({ givenBack: this.#givenBack, abandoned: [] }));
    return Promise.race([this.#stop, others]);
  }

  async #stopSoon(cause: string): Promise<StopSummary> {
    this.#state = "stopping";
    this.#capacity.close();
    this.#stopFollowing();
    clearTimeout(this.#limitTimer);
    await this.#stopping.within(Promise.allSettled([this.#source.drain()]));
    this.#batches?.stop();
    const back = [...this.#held.waiting.values()].map(async (delivery) => {
      if (await this.#giveBack(delivery)) this.#givenBack++;
    });
    await this.#stopping.within(Promise.all(back));
    this.#stopping.begin();
    await this.#stopping.within(this.#stopping.idle);
    this.#over.abort();
    this.#leases.stop();
    const abandoned = [...this.#held.running.values()].map(({ id }) => id);
    this.#release(() => true, "The consumer stopped");
    this.#context.closers.delete(this.#closer);
    this.#state = "stopped";
    const summary = { givenBack: this.#givenBack, abandoned };
    this.#log.stopped(cause, summary);
    this.#closed.resolve();
    return summary;
  }

  #serve(session: Session): void {
    const options = { once: true, signal: this.#over.signal };
    this.#reporter.serve(session, options);
    session.signal.addEventListener("abort", () => this.#serves("connecting", this.#reason), options);
    this.#source.serve(session);
    this.#rescue.serve(session);
  }

  #serves(state: JobConsumerStatus["state"], reason: string | null): void {
    if (this.#stop) return;
    this.#state = state;
    this.#reason = reason;
  }

  #take(delivery: Delivery, waited: boolean): void {
    if (this.#leases.wasStopped(delivery.receivedAt)) return;
    const held = this.#held.find(delivery.sequence);
    const isHere = held?.isOf(delivery) === true && held.ours;
    // The server forgot that it had handed this out (it was killed): it is here already.
    if (isHere && !held.handedBack) return held.renewBy(delivery);
    this.#reporter.touch(delivery);
    // Several pulls that wait can be served at once. What there is no room for then goes to another worker right away, but not the next delivery
    // of what has just ended here.
    if (waited && !isHere && !this.#stop && !this.#held.isBusy(delivery) && this.#capacity.room <= 0) {
      this.#giveBack(delivery);
    } else this.#held.waiting.set(delivery.sequence, delivery);
    if (delivery.tick) this.#skipOlder(delivery.token);
    this.#startRuns();
  }

  /** Of a schedule's ticks that wait, only the newest is to run. */
  #skipOlder(token: string): void {
    for (const tick of this.#held.takeOlder(token)) {
      this.#reporter.finish(tick).then(
        (done) => this.#ended[done ? "skipped" : "let_go"]++,
        (error) => this.#log.warn(tick, "could not be skipped, and comes again", error),
      );
    }
  }

  #startRuns(): void {
    if (this.#requirements.paused) [...this.#held.waiting.values()].forEach((delivery) => this.#giveBack(delivery));
    while (!this.#stop && !this.#leases.inDoubt && !this.#capacity.full) {
      const { wait } = this.#capacity;
      if (wait > 0) {
        clearTimeout(this.#limitTimer);
        this.#limitTimer = setTimeout(() => this.#goOn(), Math.ceil(wait));
        return;
      }
      const next = this.#held.next();
      if (!next) return;
      this.#run(next);
    }
  }

  async #run(delivery: Delivery): Promise<void> {
    this.#capacity.started(delivery);
    this.#held.start(delivery);
    let end: RunEnd | "given_back" = "let_go";
    try {
      end = await this.#runner.run(delivery, this.#handled);
    } catch (error) {
      this.#log.warn(delivery, "has ended, which could not be reported", error);
    }
    this.#capacity.ended(delivery);
    if (end === "given_back") this.#givenBack++;
    else this.#ended[end]++;
    this.#held.end(delivery);
    this.#stopping.look();
    this.#goOn();
  }

  /** The next job need not wait until the server has confirmed the end of this one. */
  readonly #handled = (delivery: Delivery) => {
    this.#held.handling.delete(delivery);
    this.#capacity.handled(delivery);
    this.#goOn();
  };

  #goOn(): void {
    this.#startRuns();
    this.#source.fill();
  }

  /** Gives back what has not started. */
  async #giveBack(delivery: Delivery): Promise<boolean> {
    this.#held.waiting.delete(delivery.sequence);
    try {
      return await this.#reporter.giveBack(delivery);
    } catch (error) {
      this.#log.warn(delivery, "could not be given back, and waits for its lease to end", error);
      return false;
    }
  }

  #release(which: (delivery: Delivery) => boolean, why: string): void {
    for (const delivery of this.#held.all) if (which(delivery)) this.#held.release(delivery, why);
    this.#source.fill();
  }

  #orphan(consumer: string): void {
    for (const delivery of this.#held.of(consumer)) {
      delivery.orphaned = true;
      this.#held.waiting.delete(delivery.sequence);
    }
  }
}
