import { clearTimeout, setTimeout } from "node:timers";
import type { Logger } from "../../connection/logger.ts";

/** Milliseconds for which further lines of a kind are counted instead of written. */
const WINDOW_MS = 60_000;

/** Characters that a text of others has in a line. */
const MAX_TEXT = 300;

interface Window {
  readonly timer: ReturnType<typeof setTimeout>;
  /** Lines that were not written. */
  count: number;
  last: string;
}

/** Writes the first line of each kind within a minute, and then how many there were more: what happens to every job must not fill a log. */
export class LimitedLog {
  readonly #logger: Logger;
  readonly #windows: Map<string, Window> = new Map();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param kind What lines are to be counted together. */
  warn(kind: string, line: string): void {
    const window = this.#windows.get(kind);
    if (window) {
      window.count++;
      window.last = line;
      return;
    }
    this.#begin(kind);
    this.#logger.warn(line);
  }

  /** Writes what was counted, and counts no more. */
  stop(): void {
    for (const kind of [...this.#windows.keys()]) this.#end(kind);
  }

  #begin(kind: string): void {
    const timer = setTimeout(() => {
      if (this.#end(kind)) this.#begin(kind);
    }, WINDOW_MS).unref();
    this.#windows.set(kind, { timer, count: 0, last: "" });
  }

  /** Tells whether there was something to write. */
  #end(kind: string): boolean {
    const { timer, count, last } = this.#windows.get(kind)!;
    clearTimeout(timer);
    this.#windows.delete(kind);
    if (count > 0) this.#logger.warn(`${last} (${count} more of this kind within a minute)`);
    return count > 0;
  }
}

/** A text of others as a part of a line: without what would break the line or a terminal, and not too long. */
export function inLine(text: string): string {
  const line = text.slice(0, 4 * MAX_TEXT).replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return line.length > MAX_TEXT || text.length > 4 * MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
}
