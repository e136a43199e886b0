/** Milliseconds between two looks at the event loop. */
export const LOOK_INTERVAL = 25;

/** Measures by how much the event loop of this process is late. */
export class LagMeter implements Disposable {
  readonly #lags: { at: number; lag: number }[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  #last = performance.now();
  /** The longest delay so far, in milliseconds. */
  longest = 0;

  constructor() {
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL);
  }

  /** The sum of all delays of the event loop since a moment of `performance.now()`, in milliseconds. */
  since(moment: number): number {
    return this.#lags.filter(({ at }) => at >= moment).reduce((sum, { lag }) => sum + lag, 0);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const at = performance.now();
    const lag = at - this.#last - LOOK_INTERVAL;
    this.#last = at;
    this.longest = Math.max(this.longest, lag);
    if (lag > 5) this.#lags.push({ at, lag });
    if (this.#lags.length > 10_000) this.#lags.splice(0, 5_000);
  }
}
