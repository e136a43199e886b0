/** Where changes of state are told; `console` fits. */
export interface Logger {
  /** Something went back to normal. */
  info(message: string): void;
  /** Something is degraded, and is being mended. */
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
