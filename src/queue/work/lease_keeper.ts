import type { Delivery } from "../source/delivery.ts";
import type { DeliveryCalls } from "./delivery_calls.ts";
import type { HeldJobs } from "../source/held_jobs.ts";
import { DEFAULT_LEASE } from "../store/queue_options.ts";
import type { RunReporter } from "./run_reporter.ts";
import { SuspensionWatch } from "./_suspension_watch.ts";
import type { WorkerLog } from "./_worker_log.ts";

/** What a lease keeper tells its consumer. */
export interface LeaseEvents {
  /** A look is over: there may be room, and a schedule that runs elsewhere in this process may have ended. */
  looked(): void;
  /** It waits here for too long: another worker may be free. */
  late(delivery: Delivery): void;
  /** The process was stopped for a while: what has not started is gone, and so is whatever is under way. */
  stopped(): void;
  /** Whether jobs may come. */
  hopes(): boolean;
}

/** Looks after the leases of all jobs that a consumer holds: extends them, and lets go of those whose lease was lost. */
export class LeaseKeeper {
  readonly #held: HeldJobs;
  readonly #reporter: RunReporter;
  readonly #log: WorkerLog;
  readonly #hold: number;
  readonly #events: LeaseEvents;
  readonly #extending: WeakSet<Delivery> = new WeakSet();
  #lease = DEFAULT_LEASE;
  #lastLook = performance.now();
  readonly #suspension: SuspensionWatch;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /** @param hold Milliseconds that a job may wait here, and half its lease at most. */
  constructor(
    held: HeldJobs,
    { reporter, calls }: { reporter: RunReporter; calls: DeliveryCalls },
    log: WorkerLog,
    hold: number,
    events: LeaseEvents,
  ) {
    this.#held = held;
    this.#suspension = new SuspensionWatch(calls, (suspended) => this.#verified(suspended));
    this.#reporter = reporter;
    this.#log = log;
    this.#hold = hold;
    this.#events = events;
  }

  /** The shortest lease in force. What is held goes by it at once: it may be much shorter than what the looks went by. */
  set lease(lease: number) {
    if (lease === this.#lease) return;
    this.#lease = lease;
    this.#lastLook = performance.now();
    this.look();
  }

  /** Looks at all that is held, and again before long. */
  look(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const now = performance.now();
    this.wasStopped(now);
    this.#lastLook = now;
    for (const delivery of this.#held.all) {
      if (!delivery.released) this.#lookAt(delivery, delivery.leaseUntil - now);
    }
    for (const delivery of this.#held.waiting.values()) {
      const late = now - delivery.receivedAt > Math.min(this.#hold, delivery.lease / 2);
      // A tick whose schedule runs waits here, for as long as that takes: each time that it is handed out counts.
      if (late && !this.#held.isBehind(delivery)) this.#events.late(delivery);
    }
    this.#events.looked();
    this.#timer = setTimeout(() => this.look(), Math.min(this.#lease / 10, 500));
    // Else it keeps the process of the worker alive, as the connection does while it is there.
    if (!this.#events.hopes()) this.#timer.unref();
  }

  /** Looks no more. */
  stop(): void {
    this.#stopped = true;
    this.#suspension.stop();
    clearTimeout(this.#timer);
  }

  /** Whether the machine may have been suspended: then no job is to start. */
  get inDoubt(): boolean {
    return this.#suspension.inDoubt;
  }

  /**
   * Whether this process was stopped (by a debugger, or a handler that blocks it) for so long that what is in its socket looks fresh and is not: then
   * all that has not started is dropped, and delivered again when its lease is over. A stop of the whole machine stops its timers, too, and is noticed
   * by {@linkcode SuspensionWatch}.
   */
  wasStopped(now: number): boolean {
    this.#suspension.look(now, this.#lease);
    if (now - this.#lastLook <= this.#lease / 2) return false;
    this.#lastLook = now;
    this.#dropWaiting();
    return true;
  }

  #verified(suspended: number): void {
    if (suspended > 0) {
      for (const delivery of this.#held.running.values()) delivery.shorten(suspended);
      this.#dropWaiting();
    }
    this.look();
  }

  #dropWaiting(): void {
    this.#held.waiting.clear();
    this.#events.stopped();
  }

  #lookAt(delivery: Delivery, left: number): void {
    const { lease } = delivery;
    if (left <= 0) return this.#held.release(delivery, "The lease was lost");
    // A shorter lease has come into force.
    if (left > lease) delivery.shorten(left - lease);
    if (left > lease || left < lease * 0.6) this.#extend(delivery);
  }

  async #extend(delivery: Delivery): Promise<void> {
    if (this.#extending.has(delivery)) return;
    this.#extending.add(delivery);
    try {
      await this.#reporter.extend(delivery);
    } catch (error) {
      this.#log.warn(delivery, "may lose its lease, which cannot be extended", error);
    }
    // What was refused is tried again at the next look, as the right may be granted.
    this.#extending.delete(delivery);
  }
}
