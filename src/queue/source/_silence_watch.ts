/** Milliseconds for which the socket is read before silence counts: while a handler blocks this process the socket is not read. */
const LISTEN_MS = 50;

/** Calls back when the server gives no sign for a while. */
export class SilenceWatch {
  readonly #silent: (silence: number) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastSign = performance.now();

  /** @param silent Gets the milliseconds that it was to notice. */
  constructor(silent: (silence: number) => void) {
    this.#silent = silent;
  }

  /** When the last sign was, by `performance.now()`. */
  get lastSign(): number {
    return this.#lastSign;
  }

  /** Watches from now on for that many milliseconds of silence. */
  start(silence: number): void {
    this.sign();
    this.#wait(silence, silence, false);
  }

  /** The server gave a sign. */
  sign(): void {
    this.#lastSign = performance.now();
  }

  /** Watches no more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(silence: number, wait: number, listened: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const left = this.#lastSign + silence - performance.now();
      if (left > 0) this.#wait(silence, left, false);
      else if (!listened) this.#wait(silence, LISTEN_MS, true);
      else this.#silent(silence);
    }, wait);
  }
}
