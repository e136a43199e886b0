import type { ConsumeSettings } from "./consume_options.ts";

/** Milliseconds of work that are fetched ahead. */
const AHEAD = 20;
const MAX_AHEAD = 512;

/** Decides how many jobs are fetched ahead: what the next few milliseconds need, so that a slow job holds up none behind it. */
export class Prefetch {
  readonly #settings: ConsumeSettings;
  readonly #unconfirmed: number;
  /** Milliseconds that a handler takes, and a run to its confirmed end, on the average of late. */
  #pace = Infinity;
  #span = Infinity;

  /** @param unconfirmed Jobs that may wait for the confirmation of their end while the next ones run. */
  constructor(settings: ConsumeSettings, unconfirmed: number) {
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
    return Math.min(MAX_AHEAD, Math.floor(AHEAD / each));
  }
}

function average(before: number, now: number): number {
  return before === Infinity ? now : before * 0.9 + now * 0.1;
}
