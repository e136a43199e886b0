/** Milliseconds in which a second signal is the same wish: `deno task` passes on what the terminal has sent to both. */
const REPEAT_WINDOW_MS = 500;

/** The signals with their numbers; Windows has only the first. */
const SIGNALS = ([["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const)
  .filter(([signal]) => signal === "SIGINT" || Deno.build.os !== "windows");

/** The user's wish to end: Ctrl-C, `kill`, a closed terminal. A second one ends the process at once. */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners = new Map<Deno.Signal, () => void>();
  #exitCode = 0;
  #since = 0;

  constructor() {
    for (const [signal, number] of SIGNALS) {
      const listener = () => this.#interrupt(128 + number);
      this.#listeners.set(signal, listener);
      Deno.addSignalListener(signal, listener);
    }
  }

  /** Aborts at the first wish. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What a shell expects of a program that was interrupted: 128 + the number of the signal; 0 if it was not. */
  get exitCode(): number {
    return this.#exitCode;
  }

  /** Gives the signals back to the system. */
  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) Deno.removeSignalListener(signal, listener);
  }

  #interrupt(exitCode: number): void {
    if (this.#controller.signal.aborted) {
      if (performance.now() - this.#since > REPEAT_WINDOW_MS) Deno.exit(exitCode);
      return;
    }
    this.#since = performance.now();
    this.#exitCode = exitCode;
    this.#controller.abort();
  }
}
