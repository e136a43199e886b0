import type { Logger } from "../../src/connection/logger.ts";

/** Keeps what is logged, each line after its level, and can be waited for. */
export class CollectedLog implements Logger {
  readonly lines: string[] = [];
  #added = Promise.withResolvers<void>();

  info(message: string): void {
    this.#add(`info: ${message}`);
  }

  warn(message: string): void {
    this.#add(`warn: ${message}`);
  }

  error(message: string): void {
    this.#add(`error: ${message}`);
  }

  /** Waits until as many lines match, also earlier ones; returns the last of them. */
  async until(pattern: RegExp, count = 1): Promise<string> {
    const timeout = AbortSignal.timeout(60_000);
    const late = Promise.withResolvers<void>();
    timeout.addEventListener("abort", () => late.resolve(), { once: true });
    for (;;) {
      const matching = this.lines.filter((line) => pattern.test(line));
      if (matching.length >= count) return matching[count - 1];
      await Promise.race([this.#added.promise, late.promise]);
      if (timeout.aborted) throw new Error(`No ${count} lines match ${pattern}:\n${this.lines.join("\n")}`);
    }
  }

  #add(line: string): void {
    this.lines.push(line);
    this.#added.resolve();
    this.#added = Promise.withResolvers();
  }
}
