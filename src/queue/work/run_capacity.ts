import type { ConsumeSettings } from "./consume_options.ts";
import type { Delivery } from "./delivery.ts";
import type { HeldJobs } from "./held_jobs.ts";
import { Prefetch } from "./prefetch.ts";
import { StartLimiter } from "./start_limiter.ts";

/** Jobs that may wait for the confirmation of their end while the next ones run. */
const UNCONFIRMED = 256;

/** Decides how many jobs a consumer runs, and how many it asks for. */
export class RunCapacity {
  readonly #concurrency: number;
  readonly #held: HeldJobs;
  readonly #prefetch: Prefetch;
  readonly #limiter: StartLimiter | null;

  constructor(settings: ConsumeSettings, held: HeldJobs) {
    this.#concurrency = settings.concurrency;
    this.#held = held;
    this.#prefetch = new Prefetch(settings, UNCONFIRMED);
    this.#limiter = settings.rateLimit ? new StartLimiter(settings.rateLimit) : null;
  }

  /** Whether as many jobs run as may. */
  get full(): boolean {
    const { handling, running } = this.#held;
    return handling.size >= this.#concurrency || running.size >= this.#concurrency + UNCONFIRMED;
  }

  /** Milliseconds until the next start is allowed. */
  get wait(): number {
    return this.#limiter?.wait ?? 0;
  }

  /** How many jobs to ask for now. Half a load at a time: asking for each single job would cost a request per job. */
  get wanted(): number {
    return this.#held.load * 2 <= this.#ahead ? this.room : 0;
  }

  /** How many more jobs may come. */
  get room(): number {
    const { load, handling } = this.#held;
    const room = this.#concurrency + this.#ahead - handling.size - load;
    return this.#limiter ? Math.min(room, this.#limiter.allowed - load) : room;
  }

  /** A run begins. */
  started(delivery: Delivery): void {
    delivery.startedAt = performance.now();
    this.#limiter?.take();
  }

  /** Its handler has ended. */
  handled({ startedAt }: Delivery): void {
    this.#prefetch.handled(performance.now() - startedAt);
  }

  /** It is over. */
  ended({ startedAt }: Delivery): void {
    this.#prefetch.ended(performance.now() - startedAt);
  }

  get #ahead(): number {
    return this.#prefetch.jobs(this.#held.handling.values().next().value?.startedAt);
  }
}
