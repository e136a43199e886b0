import { clearTimeout, setTimeout } from "node:timers";
import type { Logger } from "./logger.ts";

/** Milliseconds for which further lines of a kind are counted instead of written. */
const WINDOW_MS = 60_000;

interface Window {
  readonly timer: ReturnType<typeof setTimeout>;
  /** Lines that were not written. */
  count: number;
  last: string;
}

/** Writes lines that repeat less often than they occur: once until their reason changes, or the first of a minute and then a count. */
export class LimitedLog {
  readonly #logger: Logger;
  /** The last reason of each kind. */
  readonly #reasons: Map<string, string> = new Map();
  readonly #windows: Map<string, Window> = new Map();
  #stopped = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Whether a reason of any kind is known. */
  get hasReason(): boolean {
    return this.#reasons.size > 0;
  }

  /** Notes a reason. Returns whether it is another than the last one of its kind. */
  isNew(reason: string, kind: string = ""): boolean {
    if (this.#reasons.get(kind) === reason) return false;
    this.#reasons.set(kind, reason);
    return true;
  }

  /** Writes a line, unless the last one of its kind had the same reason. */
  warnNew(reason: string, line: string, kind?: string): void {
    if (this.isNew(reason, kind)) this.#logger.warn(line);
  }

  /** Forgets all reasons: they are new again. */
  forget(): void {
    this.#reasons.clear();
  }

  /**
   * Writes the first line of a kind within a minute, and then how many there were more: what happens to every job must not fill a log.
   *
   * @param kind What lines are counted together.
   */
  warnSome(kind: string, line: string): void {
    const window = this.#windows.get(kind);
    if (window) {
      window.count++;
      window.last = line;
      return;
    }
    if (!this.#stopped) this.#begin(kind);
    this.#logger.warn(line);
  }

  /** Writes what was counted, and counts no more: a line after that is written as it is, without a timer. */
  stop(): void {
    this.#stopped = true;
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
