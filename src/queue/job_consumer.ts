import { settledWithin } from "../connection/delay.ts";
import type { Context } from "../wire/context.ts";
import { checkDuration } from "../wire/durations.ts";
import type { Session } from "../wire/session.ts";
import { checkConsume, type ConsumeOptions, type ConsumeSettings, consumeSettings } from "./consume_options.ts";
import type { Delivery } from "./delivery.ts";
import { Intake } from "./intake.ts";
import type { Job, RunningJob } from "./job.ts";
import type { JobConsumerStatus, StopOptions, StopSummary } from "./job_consumer_status.ts";
import { JobRescue } from "./job_rescue.ts";
import { JobRunner, type RunEnd } from "./job_runner.ts";
import { Prefetch } from "./prefetch.ts";
import { DEFAULT_LEASE } from "./queue_options.ts";
import type { QueueParts } from "./queue_parts.ts";
import { StartLimiter } from "./start_limiter.ts";
import { messageOf } from "./thrown.ts";

/** Jobs that may wait for the confirmation of their end while the next ones run. */
const UNCONFIRMED = 100;
/** Milliseconds after which a job that was fetched ahead, by our own guess, and has not started is given back. */
const HOLD = 1_000;

interface Run<T> {
  readonly delivery: Delivery;
  readonly startedAt: number;
  job: RunningJob<T> | null;
  /** Why it is to end without a report; it may not have come to its handler by then. */
  released: DOMException | null;
}

/** Fetches jobs and runs them, until it is stopped. */
export class JobConsumer<T = unknown> implements AsyncDisposable {
  readonly #context: Context;
  readonly #settings: ConsumeSettings;
  readonly #runner: JobRunner<T>;
  readonly #intake: Intake;
  readonly #rescue: JobRescue;
  readonly #prefetch: Prefetch;
  readonly #limiter: StartLimiter | null;
  /** What runs, or has run and is not confirmed, by the sequence of its message. */
  readonly #running: Map<number, Run<T>> = new Map();
  /** Runs whose handler has not ended. */
  readonly #handling: Set<Run<T>> = new Set();
  /** Subject tokens of the schedules of which a tick runs. */
  readonly #schedules: Set<string> = new Set();
  readonly #extending: WeakSet<Delivery> = new WeakSet();
  readonly #closed = Promise.withResolvers<void>();
  readonly #stopFollowing: () => void;
  readonly #closer = (deadline: number) => this.stop({ deadline }).then(() => {});
  readonly #ended: JobConsumerStatus["ended"] = {
    completed: 0,
    retried: 0,
    postponed: 0,
    dead: 0,
    expired: 0,
    skipped: 0,
    let_go: 0,
  };
  /** What has not started, by the sequence of its message, in the order in which it came. */
  readonly #waiting: Map<number, Delivery> = new Map();
  #state: JobConsumerStatus["state"] = "connecting";
  #reason: string | null = null;
  #stop: Promise<StopSummary> | null = null;
  #lastTick = performance.now();
  #ticker: ReturnType<typeof setTimeout> | undefined;
  #limitTimer: ReturnType<typeof setTimeout> | undefined;

  /** Made by {@linkcode JobQueue.consume}. */
  constructor(parts: QueueParts<T>, handler: (job: Job<T>) => unknown, options: ConsumeOptions) {
    checkConsume(handler, options);
    const settings = consumeSettings(options);
    const { context, names, stream } = parts;
    this.#context = context;
    this.#settings = settings;
    this.#prefetch = new Prefetch(settings, UNCONFIRMED);
    this.#limiter = settings.rateLimit ? new StartLimiter(settings.rateLimit) : null;
    this.#runner = new JobRunner(parts, settings, handler);
    this.#intake = new Intake(context, names, stream, settings.priorities, {
      deliver: (delivery, waited) => this.#take(delivery, waited),
      ready: () => this.#intake.fill(),
      wanted: () => this.#wanted(),
      room: () => this.#room(),
      held: (consumer) => this.#held.filter((delivery) => delivery.consumer === consumer).length,
      served: (problem) => this.#serves(problem),
      paused: (paused) => this.#pauses(paused),
      deleted: (sequence) => this.#release((delivery) => delivery.sequence === sequence, "The job was cancelled"),
      orphaned: (streamToo) => this.#orphan(streamToo),
    });
    this.#rescue = new JobRescue(parts, {
      lease: () => this.#intake.lease,
      stateOf: (sequence, storedAt) =>
        this.#runner.hasEnded(sequence, String(storedAt))
          ? "ended"
          : this.#held.some((delivery) => delivery.sequence === sequence && delivery.ours)
          ? "held"
          : undefined,
    });
    context.closers.add(this.#closer);
    this.#stopFollowing = context.connection.follow((session) => this.#serve(session));
    this.#tick();
    if (options.signal?.aborted) this.stop();
    else options.signal?.addEventListener("abort", () => this.stop(), { once: true });
  }

  /** Resolves when it has stopped. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** How it fares. */
  status(): JobConsumerStatus {
    return {
      state: this.#state,
      reason: this.#reason,
      active: this.#running.size,
      prefetched: this.#waiting.size,
      ended: { ...this.#ended },
    };
  }

  /**
   * Takes no more jobs, gives back those that have not started, and waits for those that run.
   *
   * @throws {RangeError} If the deadline is negative.
   */
  stop(options: StopOptions = {}): Promise<StopSummary> {
    const { deadline = 10_000 } = options;
    checkDuration(deadline, "stop the consumer", "deadline", 0);
    return this.#stop ??= this.#stopWithin(deadline);
  }

  /** Stops it with the default deadline. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stopWithin(deadline: number): Promise<StopSummary> {
    const until = performance.now() + deadline;
    this.#state = "stopping";
    this.#stopFollowing();
    clearTimeout(this.#limitTimer);
    await settledWithin(this.#intake.drain(), deadline);
    const back = [...this.#waiting.values()].map((delivery) => this.#giveBack(delivery));
    this.#waiting.clear();
    const idle = async () => {
      while (this.#running.size > 0 && performance.now() < until) await this.#oneEnds();
    };
    await settledWithin(Promise.all([idle(), ...back]), until - performance.now());
    this.#intake.stop();
    this.#rescue.stop();
    const abandoned = [...this.#running.values()].map(({ delivery }) => delivery.id);
    this.#release(() => true, "The consumer stopped");
    clearTimeout(this.#ticker);
    this.#context.closers.delete(this.#closer);
    this.#state = "stopped";
    this.#closed.resolve();
    const givenBack = (await Promise.all(back.map((promise) => Promise.race([promise, false])))).filter(Boolean).length;
    return { givenBack, abandoned };
  }

  #oneEnds(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEnd = resolve;
    return promise;
  }

  #onEnd: () => void = () => {};

  #serve(session: Session): void {
    this.#runner.serve(session);
    session.signal.addEventListener("abort", () => {
      if (!this.#stop) this.#state = "connecting";
    }, { once: true });
    this.#intake.serve(session);
    this.#rescue.serve(session);
  }

  #serves(problem: string | null): void {
    if (this.#stop) return;
    this.#state = problem === null ? "serving" : "impaired";
    this.#reason = problem;
    if (problem !== null) return;
    // The lease is known only now, and may be much shorter than what the ticks went by.
    this.#lastTick = performance.now();
    this.#tick();
  }

  #pauses(paused: boolean): void {
    if (this.#state === "serving" && paused) this.#state = "paused";
    else if (this.#state === "paused" && !paused) this.#state = "serving";
  }

  #take(delivery: Delivery, waited: boolean): void {
    if (this.#wasStopped(delivery.receivedAt)) return;
    const held = this.#running.get(delivery.sequence)?.delivery ?? this.#waiting.get(delivery.sequence);
    const isHere = held?.isOf(delivery) === true;
    // The server forgot that it had handed this out (it was killed): it is here already.
    if (isHere && !held.handedBack) return held.renewBy(delivery);
    this.#runner.touch(delivery, this.#lease);
    // Several pulls that wait can be served at once. What there is no room for then goes to another worker right away, but not the next delivery
    // of what has just ended here.
    if (waited && !isHere && !this.#stop && !this.#isBusy(delivery) && this.#room() <= 0) this.#giveBack(delivery);
    else this.#waiting.set(delivery.sequence, delivery);
    if (delivery.tick) this.#skipOlder(delivery.token);
    this.#startRuns();
  }

  /** Of a schedule's ticks that wait, only the newest is to run. */
  #skipOlder(token: string): void {
    const ticks = [...this.#waiting.values()].filter((delivery) => delivery.token === token);
    for (const tick of ticks.sort((a, b) => a.sequence - b.sequence).slice(0, -1)) {
      this.#waiting.delete(tick.sequence);
      this.#runner.skip(tick).then(({ type }) => this.#ended[type]++, (error) => {
        this.#context.logger.warn(`A tick of ${tick.id} could not be skipped, and comes again: ${messageOf(error)}`);
      });
    }
  }

  #startRuns(): void {
    const { concurrency } = this.#settings;
    while (!this.#stop && this.#handling.size < concurrency && this.#running.size < concurrency + UNCONFIRMED) {
      const next = this.#next();
      if (!next) return;
      if (this.#limiter) {
        const wait = this.#limiter.wait;
        if (wait > 0) return this.#startLater(wait);
        this.#limiter.take();
      }
      this.#waiting.delete(next.sequence);
      this.#start(next);
    }
  }

  #next(): Delivery | undefined {
    for (const delivery of this.#waiting.values()) if (!this.#isBusy(delivery)) return delivery;
  }

  /** Whether it has to wait for a run to end: of the same schedule, or of a queue that was made again and uses its sequence once more. */
  #isBusy(delivery: Delivery): boolean {
    return this.#running.has(delivery.sequence) || this.#schedules.has(delivery.token);
  }

  /** How many of those that wait could start. The others, at most one for each schedule that runs, take no room from them. */
  get #load(): number {
    if (this.#schedules.size === 0) return this.#waiting.size;
    return [...this.#waiting.values()].filter((delivery) => !this.#isBusy(delivery)).length;
  }

  #startLater(wait: number): void {
    clearTimeout(this.#limitTimer);
    this.#limitTimer = setTimeout(() => {
      this.#startRuns();
      this.#intake.fill();
    }, Math.ceil(wait));
  }

  #start(delivery: Delivery): void {
    const run: Run<T> = { delivery, startedAt: performance.now(), job: null, released: null };
    this.#running.set(delivery.sequence, run);
    this.#handling.add(run);
    if (delivery.tick) this.#schedules.add(delivery.token);
    const started = (job: RunningJob<T>) => {
      run.job = job;
      if (run.released) job.release(run.released);
    };
    this.#runner.run(delivery, started, () => this.#handled(run)).then((end) => this.#end(run, end), (error) => {
      this.#context.logger.error(
        `The end of job ${delivery.id} could not be reported: ${messageOf(error)}`,
      );
      this.#end(run, { type: "let_go" });
    });
  }

  /** The next job need not wait until the server has confirmed the end of this one. */
  #handled(run: Run<T>): void {
    if (!this.#handling.delete(run)) return;
    this.#prefetch.handled(performance.now() - run.startedAt);
    this.#startRuns();
    this.#intake.fill();
  }

  #end(run: Run<T>, end: RunEnd): void {
    this.#prefetch.ended(performance.now() - run.startedAt);
    this.#handling.delete(run);
    this.#ended[end.type]++;
    this.#runner.announce(run.delivery, end);
    this.#running.delete(run.delivery.sequence);
    this.#schedules.delete(run.delivery.token);
    this.#onEnd();
    this.#startRuns();
    this.#intake.fill();
  }

  /** How many jobs to ask for now. Half a load at a time: asking for each single job would cost a request per job. */
  #wanted(): number {
    if (this.#stop) return 0;
    return this.#load * 2 <= this.#ahead() ? this.#room() : 0;
  }

  /** How many more jobs may come. */
  #room(): number {
    const load = this.#load;
    const room = this.#settings.concurrency + this.#ahead() - this.#handling.size - load;
    if (!this.#limiter) return room;
    const allowed = this.#limiter.allowed - load;
    if (allowed <= 0 && room > 0) this.#startLater(this.#limiter.wait);
    return Math.min(room, allowed);
  }

  /** What was handed to us and has not ended. */
  get #held(): Delivery[] {
    return [...[...this.#running.values()].map(({ delivery }) => delivery), ...this.#waiting.values()];
  }

  #ahead(): number {
    return this.#prefetch.jobs(this.#handling.values().next().value?.startedAt);
  }

  get #lease(): number {
    return this.#intake.lease || DEFAULT_LEASE;
  }

  /** Looks after the leases of all that is held. */
  #tick(): void {
    clearTimeout(this.#ticker);
    const now = performance.now();
    const lease = this.#lease;
    this.#wasStopped(now);
    this.#lastTick = now;
    for (const delivery of this.#held) {
      if (!delivery.ours) this.#release((other) => other === delivery, "The lease was lost");
      else if (delivery.leaseUntil - now < lease * 0.6) this.#extend(delivery, lease);
    }
    const hold = this.#settings.prefetch === "auto" ? Math.min(HOLD, lease / 2) : lease / 2;
    // A tick whose schedule runs waits here, for as long as that takes: each time that it is handed out counts.
    for (const [sequence, delivery] of this.#waiting) {
      if (now - delivery.receivedAt <= hold || this.#schedules.has(delivery.token)) continue;
      this.#waiting.delete(sequence);
      this.#giveBack(delivery);
    }
    this.#intake.fill();
    this.#ticker = setTimeout(() => this.#tick(), Math.min(lease / 10, 500));
    this.#ticker.unref?.();
  }

  /**
   * Whether this process was stopped (a laptop's lid, a debugger) for so long that what lies in its socket looks fresh and is not: then all that has
   * not started is dropped, and handed out again when its lease is over.
   */
  #wasStopped(now: number): boolean {
    if (now - this.#lastTick <= this.#lease / 2) return false;
    this.#lastTick = now;
    this.#waiting.clear();
    this.#intake.reopen("the process was stopped for a while");
    return true;
  }

  async #extend(delivery: Delivery, lease: number): Promise<void> {
    if (this.#extending.has(delivery)) return;
    this.#extending.add(delivery);
    try {
      await this.#runner.extend(delivery, lease);
      this.#extending.delete(delivery);
    } catch (error) {
      // Refused for good, so it is not tried again.
      this.#context.logger.warn(`The lease of job ${delivery.id} cannot be extended: ${messageOf(error)}`);
    }
  }

  async #giveBack(delivery: Delivery): Promise<boolean> {
    try {
      return await this.#runner.giveBack(delivery);
    } catch (error) {
      this.#context.logger.warn(
        `Job ${delivery.id} could not be given back, and waits for its lease to end: ${messageOf(error)}`,
      );
      return false;
    }
  }

  /** Lets go of jobs that are not ours any more: their runs end, and nothing is reported. */
  #release(which: (delivery: Delivery) => boolean, why: string): void {
    for (const [sequence, delivery] of this.#waiting) if (which(delivery)) this.#waiting.delete(sequence);
    for (const run of this.#running.values()) {
      if (!which(run.delivery)) continue;
      run.released ??= new DOMException(why, "AbortError");
      run.job?.release(run.released);
    }
    this.#intake.fill();
  }

  #orphan(streamToo: boolean): void {
    if (streamToo) return this.#release(() => true, "The queue was deleted");
    this.#waiting.clear();
    for (const { delivery } of this.#running.values()) delivery.orphaned = true;
  }
}
