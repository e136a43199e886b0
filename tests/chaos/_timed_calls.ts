import { JetStreamStoreError, type StoreErrorCode } from "../../mod.ts";
import { type LagMeter, LOOK_INTERVAL } from "../ledger/lag_meter.ts";
import { type LedgerFile, now } from "../ledger/ledger_file.ts";
import type { StoreNote } from "./store_notes.ts";

/** Milliseconds that a call may be late on an idle machine. */
const MARGIN = 300;

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
