import type { Delivery } from "../delivery/delivery.ts";
import type { StartRate } from "../format/start_rate.ts";
import type { HeldJobs } from "../delivery/held_jobs.ts";

/** Jobs that may wait for the confirmation of their end while the next ones run. */
const MAX_UNCONFIRMED_JOBS = 256;

/** Milliseconds of work that are fetched ahead. */
const PREFETCH_MS = 20;
const MAX_PREFETCHED_JOBS = 512;

/** What a worker is set to. */
export interface CapacitySettings {
  readonly concurrency: number;
  /** Jobs that are fetched ahead; without it that is guessed. */
  readonly prefetch?: number;
  readonly rateLimit?: StartRate;
}

/** What keeps a worker from taking jobs beyond its own settings. */
export interface CapacityGate {
  /** Jobs to hold at most. */
  readonly limit: number;
  /** Jobs that may wait for their start at most. */
  readonly ahead: number;
}

/** Decides how many jobs a worker runs, and how many it requests. */
export class Capacity {
  readonly #settings: CapacitySettings;
  readonly #held: HeldJobs;
  readonly #gate: CapacityGate;
  readonly #prefetch: Prefetch;
  readonly #rate: StartRateLimiter | null;
  #isClosed = false;

  constructor(settings: CapacitySettings, held: HeldJobs, gate: CapacityGate) {
    this.#settings = settings;
    this.#held = held;
    this.#gate = gate;
    this.#prefetch = new Prefetch(settings, MAX_UNCONFIRMED_JOBS);
    this.#rate = settings.rateLimit ? new StartRateLimiter(settings.rateLimit) : null;
  }

  /** Whether as many jobs run as may. */
  get full(): boolean {
    const { handling, running } = this.#held;
    const { concurrency } = this.#settings;
    return handling.size >= concurrency || running.size >= concurrency + MAX_UNCONFIRMED_JOBS;
  }

  /** How many of the jobs that are here could start now. */
  get startable(): number {
    return Math.min(this.#held.load, Math.max(0, this.#settings.concurrency - this.#held.handling.size));
  }

  /** Milliseconds until the next start is allowed. */
  get wait(): number {
    return this.#rate?.wait ?? 0;
  }

  /** How many jobs to request now. Half a load at a time: asking for each single job would cost a request per job. */
  get wanted(): number {
    return !this.#isClosed && this.#held.load * 2 <= Math.min(this.#ahead, this.#gate.ahead) ? this.room : 0;
  }

  /** How many more jobs may come. */
  get room(): number {
    const { load, handling, running } = this.#held;
    const room = this.#settings.concurrency + this.#ahead - handling.size - load;
    const gated = Math.min(room, this.#gate.limit - load - running.size, this.#gate.ahead - load);
    return this.#rate ? Math.min(gated, this.#rate.allowed - load) : gated;
  }

  /** Asks for no more jobs. */
  close(): void {
    this.#isClosed = true;
  }

  /** A run begins. */
  started(delivery: Delivery): void {
    delivery.startedAt = performance.now();
    this.#rate?.take(delivery);
  }

  /** Its handler is called, which may be later. */
  handles(delivery: Delivery): void {
    this.#rate?.start(delivery);
  }

  /** Its handler has ended. */
  handled({ startedAt }: Delivery): void {
    this.#prefetch.handled(performance.now() - startedAt);
  }

  /** It has ended. */
  ended(delivery: Delivery): void {
    this.#prefetch.ended(performance.now() - delivery.startedAt);
    this.#rate?.drop(delivery);
  }

  get #ahead(): number {
    return this.#prefetch.jobs(this.#held.handling.values().next().value?.startedAt);
  }
}

/** Decides how many jobs are fetched ahead: what the next few milliseconds need, so that a slow job holds up none behind it. */
export class Prefetch {
  readonly #settings: CapacitySettings;
  readonly #unconfirmed: number;
  /** Milliseconds that a handler takes, and a run to its confirmed end, on the average of late. */
  #pace = Infinity;
  #span = Infinity;

  /** @param unconfirmed Jobs that may wait for the confirmation of their end while the next ones run. */
  constructor(settings: CapacitySettings, unconfirmed: number) {
    this.#settings = settings;
    this.#unconfirmed = unconfirmed;
  }

  /** A handler took so many milliseconds. */
  handled(took: number): void {
    this.#pace = average(this.#pace, took);
  }

  /** A run took so many milliseconds to its confirmed end. */
  ended(took: number): void {
    this.#span = average(this.#span, took);
  }

  /**
   * How many jobs may wait.
   *
   * @param oldest When the oldest handler that runs was started, by `performance.now()`.
   */
  jobs(oldest: number | undefined): number {
    const { prefetch, concurrency, rateLimit } = this.#settings;
    if (prefetch !== undefined) return prefetch;
    if (rateLimit) return 0;
    const pace = Math.max(this.#pace, oldest === undefined ? 0 : performance.now() - oldest);
    const each = Math.max(pace / concurrency, this.#span / (concurrency + this.#unconfirmed));
    return Math.min(MAX_PREFETCHED_JOBS, Math.floor(PREFETCH_MS / each));
  }
}

/** Lets at most `jobs` starts happen within any `interval` milliseconds. */
class StartRateLimiter {
  readonly #rate: StartRate;
  /** The moments of the starts within the last interval, the oldest first. */
  readonly #starts: number[] = [];
  /** What is to start: something may have to be asked before its handler is called. Its interval has not begun. */
  readonly #taken: Set<Delivery> = new Set();

  constructor(rate: StartRate) {
    this.#rate = rate;
  }

  /** Starts that are allowed now. */
  get allowed(): number {
    const since = performance.now() - this.#rate.interval;
    const recent = this.#starts.findIndex((start) => start > since);
    this.#starts.splice(0, recent < 0 ? this.#starts.length : recent);
    return this.#rate.jobs - this.#starts.length - this.#taken.size;
  }

  /** Milliseconds until one more start is allowed. */
  get wait(): number {
    if (this.allowed > 0) return 0;
    const now = performance.now();
    const [oldest = now] = this.#starts;
    return Math.max(0, oldest + this.#rate.interval - now);
  }

  /** Keeps a start for a job. */
  take(delivery: Delivery): void {
    this.#taken.add(delivery);
  }

  /** It starts. */
  start(delivery: Delivery): void {
    if (this.#taken.delete(delivery)) this.#starts.push(performance.now());
  }

  /** It has ended: if it did not start, another one may. */
  drop(delivery: Delivery): void {
    this.#taken.delete(delivery);
  }
}

function average(before: number, now: number): number {
  return before === Infinity ? now : before * 0.9 + now * 0.1;
}
