import { JetStreamStoreError, type StoreErrorCode } from "../../mod.ts";
import { type LedgerFile, now } from "../ledger/ledger_file.ts";
import type { StoreNote } from "./store_notes.ts";

/** Milliseconds between two looks at the event loop. */
const LOOK_INTERVAL = 25;

/** Milliseconds that a call may be late on an idle machine. */
const MARGIN = 300;

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

/** Makes calls, and notes those that are refused or outlive their deadline. */
export class TimedCalls {
  readonly #ledger: LedgerFile<StoreNote>;
  readonly #client: string;
  readonly #lag: LagMeter;
  readonly #deadline: number;

  /** @param deadline Milliseconds that a call may take. */
  constructor(ledger: LedgerFile<StoreNote>, client: string, lag: LagMeter, deadline: number) {
    this.#ledger = ledger;
    this.#client = client;
    this.#lag = lag;
    this.#deadline = deadline;
  }

  /**
   * Makes a call; `null` also if it was refused.
   *
   * @param expected Codes of refusals that need no note.
   */
  async make<T>(call: string, made: () => Promise<T>, expected: StoreErrorCode[] = []): Promise<T | null> {
    const began = performance.now();
    try {
      return await made();
    } catch (error) {
      const code = error instanceof JetStreamStoreError ? error.code : "raw";
      if (expected.some((known) => known === code)) return null;
      this.#ledger.append({ what: "refused", client: this.#client, call, code, message: String(error), at: now() });
      return null;
    } finally {
      const took = performance.now() - began;
      // What is streamed, watched or listed takes the time that it needs.
      if (took > this.#deadline && !call.startsWith("stream ")) await this.#checkTime(call, began, took);
    }
  }

  async #checkTime(call: string, began: number, took: number): Promise<void> {
    // The meter may not have had its turn since the event loop went on.
    await new Promise((resolve) => setTimeout(resolve, 3 * LOOK_INTERVAL));
    const lag = this.#lag.since(began);
    const deadline = this.#deadline;
    if (took <= deadline + MARGIN + 2 * lag) return;
    this.#ledger.append({ what: "late", client: this.#client, call, took, deadline, lag, at: now() });
  }
}
