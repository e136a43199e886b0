import type { Context } from "../../wire/context.ts";
import type { Session } from "../../wire/session.ts";
import { Capacity } from "../source/capacity.ts";
import type { Delivery } from "../delivery/delivery.ts";
import { HeldJobs } from "../delivery/held_jobs.ts";
import { JobRescue } from "../source/job_rescue.ts";
import { MessageSurvey } from "../source/message_survey.ts";
import { JobSource } from "../source/job_source.ts";
import { Permits } from "../source/permits.ts";
import type { StartRate } from "../format/start_rate.ts";
import type { ServiceState, SourceListener } from "../source/source_listener.ts";
import { StreamIdentity } from "../delivery/stream_identity.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { RunningTicks } from "../delivery/running_ticks.ts";
import { Acknowledger } from "../delivery/acknowledger.ts";
import type { ConsumeSettings } from "./consume_options.ts";
import { DeletedJobs } from "./_deleted_jobs.ts";
import { DeliveryCalls } from "../delivery/delivery_calls.ts";
import { type JobConsumerStatus, NO_ENDS, type RunEnd, type StopSummary } from "./job_consumer_status.ts";
import { noteWorker } from "./handler_scope.ts";
import type { JobHandler } from "./job_handler.ts";
import { JobRunner, type RunListener } from "./_job_runner.ts";
import { LeaseKeeper, type LeaseListener } from "../delivery/lease_keeper.ts";
import { RunReporter } from "./_run_reporter.ts";
import { type RequirementsListener, RunRequirements } from "../delivery/run_requirements.ts";
import { Stopping } from "./_stopping.ts";
import { WorkerLog } from "../delivery/worker_log.ts";
import { answerForWorker } from "./_worker_presence.ts";

/** Milliseconds after which a job is given back that was fetched ahead, by the worker's own guess, and has not started. */
const MAX_PREFETCHED_MS = 1_000;

/** Starts what a source delivers as capacity allows, and keeps account of how each delivery ended. */
export class Worker<T> implements SourceListener, LeaseListener, RequirementsListener, RunListener {
  readonly #context: Context;
  readonly #queue: string;
  readonly #handler: JobHandler<T>;
  readonly #held: HeldJobs;
  readonly #capacity: Capacity;
  readonly #permits: Permits;
  readonly #requirements: RunRequirements;
  readonly #calls: DeliveryCalls;
  readonly #acknowledger: Acknowledger;
  readonly #reporter: RunReporter;
  readonly #runner: JobRunner<T>;
  readonly #leases: LeaseKeeper;
  readonly #deleted: DeletedJobs;
  readonly #source: JobSource;
  readonly #rescue: JobRescue;
  readonly #log: WorkerLog;
  readonly #over = new AbortController();
  readonly #stopFollowing: () => void;
  readonly #ended: JobConsumerStatus["ended"] = { ...NO_ENDS };
  #state: JobConsumerStatus["state"] = "connecting";
  #reason: string | null = null;
  #isStopping = false;
  #givenBack = 0;
  #limitTimer: ReturnType<typeof setTimeout> | undefined;
  /** What its stop waits for. */
  readonly stopping: Stopping;

  constructor(queue: QueueContext<T>, settings: ConsumeSettings, handler: JobHandler<T>) {
    const { context, names } = queue;
    const over = this.#over.signal;
    const identity = new StreamIdentity();
    this.#context = context;
    this.#queue = names.queue;
    context.telemetry.observe(queue.observed);
    this.#handler = handler;
    this.#log = new WorkerLog(context.logger, names.queue);
    const held = this.#held = new HeldJobs(context.shared.of(RunningTicks, names.stream));
    noteWorker(context, held, over);
    const requirements = this.#requirements = new RunRequirements(queue, over, this);
    const permits = this.#permits = new Permits(names, () => this.refresh());
    const gate = {
      get limit() {
        return requirements.limit;
      },
      get ahead() {
        return permits.ahead;
      },
    };
    const capacity = this.#capacity = new Capacity(settings, held, gate);
    const calls = this.#calls = new DeliveryCalls(queue, identity, requirements, over);
    const acknowledger = this.#acknowledger = new Acknowledger(queue, calls);
    const tools = { held, calls, requirements, acknowledger, log: this.#log };
    const reporter = this.#reporter = new RunReporter(queue, tools);
    const survey = new MessageSurvey(queue, held);
    this.#runner = new JobRunner(queue, settings, handler, { ...tools, reporter, survey, permits, capacity }, this);
    this.#leases = new LeaseKeeper(queue, tools, settings.prefetch === undefined ? MAX_PREFETCHED_MS : Infinity, this);
    this.#deleted = new DeletedJobs(queue, held, this.#log);
    this.#source = new JobSource(queue, settings, { held, capacity }, { identity, listener: this }, over);
    this.#rescue = new JobRescue(queue, survey, over);
    this.stopping = new Stopping(held);
    this.#stopFollowing = context.connection.follow((session) => this.#serve(session));
    answerForWorker(queue, settings, () => this.status(), over);
    this.#leases.look();
  }

  /** Its state, and what it has done so far. */
  status(): JobConsumerStatus {
    const refusal = this.#state === "serving" ? this.#requirements.reason ?? this.#permits.reason : null;
    return {
      state: refusal === null ? this.#state : "impaired",
      reason: refusal ?? this.#reason ?? this.#context.connection.failure,
      active: this.#held.running.size,
      prefetched: this.#held.waiting.size,
      ended: { ...this.#ended },
    };
  }

  /** Aborts when it has stopped. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Whether this runs here. */
  isRunning(delivery: Delivery): boolean {
    return this.#held.running.get(delivery.sequence) === delivery;
  }

  #serve(session: Session): void {
    const options = { once: true, signal: this.#over.signal };
    this.#calls.serve(session, options);
    this.#acknowledger.serve(session, options);
    session.signal.addEventListener("abort", () => this.serves("connecting", this.#reason), options);
    this.#source.serve(session);
    this.#rescue.serve(session);
  }

  /** From its source: what all jobs need is checked before the first one is there, and what may have been cancelled meanwhile. */
  opened(session: Session): void {
    this.#requirements.opened(session);
    void this.#deleted.checkAll(session.signal).then(() => this.#source.fill());
  }

  /** From its source: whether jobs are delivered. */
  serves(state: ServiceState | "connecting", reason: string | null): void {
    if (this.#isStopping) return;
    this.#state = state;
    this.#reason = reason;
  }

  /** From its source: the shortest lease in force, in milliseconds. */
  leased(lease: number): void {
    this.#leases.lease = lease;
  }

  /** From its source: the limit of the rate. */
  rateLimited(session: Session, rate: StartRate | null): void {
    if (!this.#isStopping) this.#permits.serve(session, rate);
  }

  /** From its source: a message is said to be deleted. */
  async deleted(sequence: number): Promise<void> {
    await this.#deleted.check(sequence);
    this.#source.fill();
  }

  /** From its source: a job was delivered. */
  delivered(delivery: Delivery, waited: boolean): void {
    if (this.#leases.wasStopped(delivery.receivedAt)) return;
    const present = this.#held.find(delivery.sequence);
    const isHere = present?.isOf(delivery) === true && present.ours;
    // The server forgot that it had delivered this (it was killed): it is here already.
    if (isHere && !present.handedBack) return present.renewBy(delivery);
    this.#acknowledger.touch(delivery);
    // Several pulls that wait can be served at once. What there is no room for is given to another worker right away, but not the next delivery of
    // what has just ended here.
    const isExtra = waited && !isHere && !this.#isStopping && !this.#held.isBlocked(delivery);
    if (isExtra && this.#capacity.room <= 0) this.#giveBack(delivery);
    else this.#held.add(delivery);
    // Of a schedule's ticks that wait, only the newest is to run.
    for (const tick of this.#held.takeOlderTicks(delivery)) this.#skip(tick);
    this.#startRuns();
  }

  /** Starts what can start, and fetches what is wanted. */
  refresh(): void {
    this.#startRuns();
    this.#source.fill();
  }

  #startRuns(): void {
    if (this.#requirements.paused) {
      for (const delivery of [...this.#held.waiting.values()]) {
        this.#giveBack(delivery);
      }
    }
    while (!this.#isStopping && !this.#leases.inDoubt && !this.#capacity.full) {
      const { wait } = this.#capacity;
      if (wait > 0) {
        clearTimeout(this.#limitTimer);
        this.#limitTimer = setTimeout(() => this.refresh(), Math.ceil(wait));
        return;
      }
      const next = this.#held.next();
      if (!next || !this.#permits.take(next, this.#capacity)) return;
      this.#run(next);
    }
  }

  async #run(delivery: Delivery): Promise<void> {
    this.#capacity.started(delivery);
    this.#held.start(delivery);
    let end: RunEnd | "given_back" = "released";
    try {
      end = await this.#runner.run(delivery);
    } catch (error) {
      this.#log.warn(delivery, "has ended, which could not be reported", error);
    }
    this.#capacity.ended(delivery);
    if (end === "given_back") this.#givenBack++;
    else this.#count(end, delivery);
    this.#held.end(delivery);
    this.stopping.look();
    this.refresh();
  }

  /** From its runner: the next job need not wait until the server has confirmed the end of this one. */
  handled(delivery: Delivery): void {
    this.#held.handling.delete(delivery);
    this.#capacity.handled(delivery);
    this.refresh();
  }

  /** From its lease keeper: this waits here for too long; for a permit it would wait elsewhere, too. */
  late(delivery: Delivery): void {
    if (this.#permits.isLimited && !this.#capacity.full) return;
    this.#giveBack(delivery);
  }

  /** From its lease keeper: the process was stopped for a while. */
  suspended(): void {
    this.#source.restart("the process was stopped for a while");
  }

  async #skip(tick: Delivery): Promise<void> {
    try {
      this.#count(await this.#acknowledger.finish(tick) ? "skipped" : "released", tick);
    } catch (error) {
      this.#log.warn(tick, "could not be skipped and is delivered again", error);
    }
  }

  #count(end: RunEnd, { observed }: Delivery): void {
    this.#ended[end]++;
    this.#context.telemetry.ended(this.#queue, end, observed);
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

  /** The first step of its stop: it starts nothing, requests no more, and takes what is under way. */
  async drain(): Promise<void> {
    this.#isStopping = true;
    this.#state = "stopping";
    this.#capacity.close();
    this.#stopFollowing();
    clearTimeout(this.#limitTimer);
    this.#permits.stop();
    await this.#source.drain();
  }

  /** The second step: what has not started is given back. */
  async giveBackWaiting(): Promise<void> {
    this.#handler.stop?.();
    await Promise.all([...this.#held.waiting.values()].map(async (delivery) => {
      if (await this.#giveBack(delivery)) this.#givenBack++;
    }));
  }

  /** The last step: what still runs is released. */
  end(cause: string): StopSummary {
    this.#over.abort();
    this.#leases.stop();
    const abandoned = [...this.#held.running.values()].map(({ id }) => id);
    this.#held.releaseAll("The consumer stopped");
    this.#state = "stopped";
    const summary = { givenBack: this.#givenBack, abandoned };
    this.#log.stopped(cause, summary);
    return summary;
  }

  /** Jobs that had not started and were given back so far. */
  get givenBack(): number {
    return this.#givenBack;
  }
}
