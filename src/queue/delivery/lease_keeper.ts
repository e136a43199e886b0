import type { Delivery } from "./delivery.ts";
import type { HeldJobs } from "./held_jobs.ts";
import { DEFAULT_LEASE_MS } from "../store/queue_options.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { DeliveryCalls } from "./delivery_calls.ts";
import { SuspensionWatch } from "./_suspension_watch.ts";
import type { WorkerLog } from "./worker_log.ts";

/** The worker whose leases are kept. */
export interface LeaseListener {
  /** A look has ended: there may be room, and a schedule that runs elsewhere in this process may have ended. */
  refresh(): void;
  /** It waits here for too long: another worker may be free. */
  late(delivery: Delivery): void;
  /** The process was stopped for a while: what has not started was dropped, and whatever is under way is not fresh. */
  suspended(): void;
}

/** What a lease keeper works with. */
export interface LeaseTools {
  readonly held: HeldJobs;
  readonly calls: DeliveryCalls;
  readonly acknowledger: Acknowledger;
  readonly log: WorkerLog;
}

/** Keeps the leases of all jobs that a worker holds: extends them, and releases jobs whose lease was lost. */
export class LeaseKeeper {
  readonly #queue: QueueContext;
  readonly #held: HeldJobs;
  readonly #acknowledger: Acknowledger;
  readonly #log: WorkerLog;
  readonly #maxWait: number;
  readonly #listener: LeaseListener;
  readonly #extending: WeakSet<Delivery> = new WeakSet();
  #lease = DEFAULT_LEASE_MS;
  #lastLook = performance.now();
  readonly #suspension: SuspensionWatch;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  /** @param maxWait Milliseconds that a job may wait here, and half its lease at most. */
  constructor(
    queue: QueueContext,
    { held, calls, acknowledger, log }: LeaseTools,
    maxWait: number,
    listener: LeaseListener,
  ) {
    this.#queue = queue;
    this.#held = held;
    this.#suspension = new SuspensionWatch(calls, (suspended) => this.#verified(suspended));
    this.#acknowledger = acknowledger;
    this.#log = log;
    this.#maxWait = maxWait;
    this.#listener = listener;
  }

  /** The shortest lease in force. It applies to what is held at once: it may be much shorter than the one that the looks went by. */
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
      const late = now - delivery.receivedAt > Math.min(this.#maxWait, delivery.lease / 2);
      // A tick whose schedule runs waits here, for as long as that takes: each delivery counts.
      if (late && !this.#held.isBlockedTick(delivery)) this.#listener.late(delivery);
    }
    this.#listener.refresh();
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.look(), Math.min(this.#lease / 10, 500));
    // Else it keeps the process of the worker alive, as the connection does while there is one.
    if (!this.#queue.context.connection.isOn) this.#timer.unref();
  }

  /** Stops looking. */
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
    this.#listener.suspended();
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
      await this.#acknowledger.extend(delivery);
    } catch (error) {
      this.#log.warn(delivery, "may lose its lease, which cannot be extended", error);
    }
    // What was refused is sent again at the next look, as the right may be granted.
    this.#extending.delete(delivery);
  }
}
