/** Milliseconds as the server's nanoseconds. */
export function nanoseconds(ms: number): number {
  return ms * 1_000_000;
}

/** The server's nanoseconds as milliseconds. */
export function milliseconds(ns: number | undefined): number {
  return (ns ?? 0) / 1_000_000;
}

/** Milliseconds as whole seconds, rounded up, for what the server takes in seconds only. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

/**
 * Checks an option that is a duration in milliseconds.
 *
 * @throws {RangeError} If it is no finite number, or below `min`.
 */
export function checkDuration(value: unknown, doing: string, option: string, min: number): asserts value is number {
  if (typeof value === "number" && Number.isFinite(value) && value >= min) return;
  throw new RangeError(`Cannot ${doing} as '${option}' must be ≥ ${min} ms: current value is ${String(value)}`);
}
