import type { Logger } from "../../src/connection/logger.ts";

/** A logger that keeps what it is told, whatever the level; {@linkcode CollectedLog} tells levels apart, and can be waited for. */
export function keptLines(): { lines: string[]; logger: Logger } {
  const lines: string[] = [];
  const take = (message: string) => void lines.push(message);
  return { lines, logger: { info: take, warn: take, error: take } };
}
