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

/** The longest time that a timer takes: about 24 days. */
export const MAX_TIMER = 2 ** 31 - 1;

/** No duration is longer: a hundred years. */
const MAX_DURATION = 100 * 365 * 86_400_000;

/**
 * Checks an option that is a duration in milliseconds.
 *
 * @throws {RangeError} If it is no number from `min` to `max`.
 */
export function checkDuration(
  value: unknown,
  doing: string,
  option: string,
  min: number,
  max: number = MAX_DURATION,
): asserts value is number {
  if (typeof value === "number" && value >= min && value <= max) return;
  const rule = typeof value === "number" && value > max ? `≤ ${max} ms` : `≥ ${min} ms`;
  throw new RangeError(`Cannot ${doing} as '${option}' must be ${rule}: current value is ${String(value)}`);
}
