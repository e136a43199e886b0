/** Lets at most `jobs` starts happen within any `interval` milliseconds. */
export class StartLimiter {
  readonly #jobs: number;
  readonly #interval: number;
  /** The moments of the starts within the last interval, the oldest first. */
  readonly #starts: number[] = [];

  constructor({ jobs, interval }: { jobs: number; interval: number }) {
    this.#jobs = jobs;
    this.#interval = interval;
  }

  /** Starts that are allowed now. */
  get allowed(): number {
    const since = performance.now() - this.#interval;
    const recent = this.#starts.findIndex((start) => start > since);
    this.#starts.splice(0, recent < 0 ? this.#starts.length : recent);
    return this.#jobs - this.#starts.length;
  }

  /** Milliseconds until one more start is allowed. */
  get wait(): number {
    return this.allowed > 0 ? 0 : Math.max(0, this.#starts[0] + this.#interval - performance.now());
  }

  /** Counts a start. */
  take(): void {
    this.#starts.push(performance.now());
  }
}
