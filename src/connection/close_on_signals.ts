import process from "node:process";
import { checkDuration, checkOneOf, wrongType } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";

/**
 * Options of {@linkcode JetStreamStores.close}.
 *
 * @category Connection
 */
export interface CloseOptions {
  /**
   * Milliseconds that closing may take: running jobs may finish within it.
   *
   * @default {10_000}
   */
  deadline?: number;
}

/**
 * Options of {@linkcode JetStreamStores.closeOnSignals}.
 *
 * @category Connection
 */
export interface CloseOnSignalsOptions extends CloseOptions {
  /**
   * The signals.
   *
   * @default {["SIGTERM", "SIGINT"]}
   */
  signals?: readonly ("SIGTERM" | "SIGINT" | "SIGHUP" | "SIGBREAK")[];
}

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"] as const;

const CLOSE_OPTIONS: OptionNames<CloseOptions> = { deadline: true };

const CLOSE_ON_SIGNALS_OPTIONS: OptionNames<CloseOnSignalsOptions> = { ...CLOSE_OPTIONS, signals: true };

/**
 * The deadline of a close.
 *
 * @throws {TypeError | RangeError} If an option is unknown or wrong.
 */
export function closeDeadline(options: CloseOptions | undefined): number {
  const { deadline = 10_000 } = checkOptions(options, CLOSE_OPTIONS, "close the connection");
  checkDuration(deadline, "close the connection", "deadline", 0);
  return deadline;
}

/** Closes at the first of some signals of the process. Listening to them does not keep the process alive. */
export class ClosingSignals {
  #stop: () => void = () => {};

  /**
   * Listens, in place of what it has listened to.
   *
   * @throws {TypeError | RangeError} If an option is unknown or wrong.
   */
  listen(options: CloseOnSignalsOptions | undefined, close: (deadline: number) => unknown): void {
    const doing = "close on signals";
    const { signals = ["SIGTERM", "SIGINT"], ...rest } = checkOptions(options, CLOSE_ON_SIGNALS_OPTIONS, doing);
    if (!Array.isArray(signals)) throw wrongType(`${doing} as 'signals' must be an array`, signals);
    for (const signal of signals) checkOneOf(signal, doing, "signals", SIGNALS);
    const deadline = closeDeadline(rest);
    this.stop();
    const received = () => {
      this.stop();
      close(deadline);
    };
    for (const signal of signals) process.on(signal, received);
    this.#stop = () => {
      for (const signal of signals) process.off(signal, received);
    };
  }

  /** Listens no more: a signal ends the process as if there were nothing here. */
  stop(): void {
    this.#stop();
    this.#stop = () => {};
  }
}
