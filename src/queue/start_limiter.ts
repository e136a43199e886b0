/** Lets at most `jobs` starts happen within any `interval` milliseconds. */
export class StartLimiter {
  readonly #interval: number;
  /** The moments of the last starts, the oldest at `#next`. */
  readonly #starts: number[];
  #next = 0;

  constructor({ jobs, interval }: { jobs: number; interval: number }) {
    this.#interval = interval;
    this.#starts = new Array(jobs).fill(-Infinity);
  }

  /** Starts that are allowed now. */
  get allowed(): number {
    const since = performance.now() - this.#interval;
    let free = 0;
    for (let i = 0; i < this.#starts.length && this.#starts[(this.#next + i) % this.#starts.length] <= since; i++) {
      free++;
    }
    return free;
  }

  /** Milliseconds until one more start is allowed. */
  get wait(): number {
    return Math.max(0, this.#starts[this.#next] + this.#interval - performance.now());
  }

  /** Counts a start. */
  take(): void {
    this.#starts[this.#next] = performance.now();
    this.#next = (this.#next + 1) % this.#starts.length;
  }
}
