import { shownMessage } from "../shown.ts";

/**
 * Receives changes of state; `console` fits.
 *
 * @category Connection
 */
export interface Logger {
  /** Something went back to normal. */
  info(message: string): void;
  /** Something is degraded, and is retried. */
  warn(message: string): void;
  /** Something needs a person: refused credentials, for instance. */
  error(message: string): void;
}

/** One line on standard error: standard output belongs to the program. */
export const consoleLogger: Logger = {
  info: (message) => console.error(`[jetstream] ${message}`),
  warn: (message) => console.error(`[jetstream] ${message}`),
  error: (message) => console.error(`[jetstream] ${message}`),
};

/** Writes nothing. */
const silentLogger: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/**
 * Guards the user's logger: one that throws, or returns a promise that rejects, loses its line and disturbs nothing else. What a line quotes may
 * have been written by others, so it gets one line of printable characters and of bounded length.
 *
 * @param logger `false`: nothing is logged.
 */
export function guardedLogger(logger: Logger | false): Logger {
  if (logger === false) return silentLogger;
  const guarded = (level: keyof Logger) => (message: string) => {
    try {
      const written: unknown = logger[level](shownMessage(message));
      if (written instanceof Promise) written.catch(() => {});
    } catch {
      // There is nowhere left to report it.
    }
  };
  return { info: guarded("info"), warn: guarded("warn"), error: guarded("error") };
}
