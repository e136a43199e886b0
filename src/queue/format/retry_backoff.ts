import { backoff as exponential } from "../../connection/backoff.ts";
import { checkDuration, wrong, wrongType } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";

/**
 * Exponential backoff with jitter.
 *
 * @category Jobs
 */
export interface ExponentialBackoff {
  /** Milliseconds after the first failure, doubled after each further one. */
  base: number;
  /** Milliseconds that no wait exceeds. */
  max: number;
}

/**
 * Milliseconds until a failed job runs again: the same each time, one per attempt (the last one repeats), or exponential.
 *
 * @category Jobs
 */
export type Backoff = number | readonly number[] | ExponentialBackoff;

/**
 * {@linkcode Backoff}, or a function of the attempt that failed (from 1) and its error.
 *
 * @category Jobs
 */
export type BackoffOption = Backoff | ((attempt: number, error: unknown) => number);

/** How long a failed job waits when neither it nor its consumer says. */
export const DEFAULT_BACKOFF: Backoff = { base: 1_000, max: 60_000 };

const EXPONENTIAL: OptionNames<ExponentialBackoff> = { base: true, max: true };

/**
 * A `backoff` option, checked: as it is now, whatever becomes of a list or an object.
 *
 * @throws {TypeError | RangeError} If it is none.
 */
export function checkBackoff(value: BackoffOption, doing: string): BackoffOption {
  if (typeof value === "function") return value;
  if (typeof value === "number") {
    checkDuration(value, doing, "backoff", 0);
    return value;
  }
  if (Array.isArray(value)) {
    const waits = Array.from<unknown, number>(value, (wait) => {
      checkDuration(wait, doing, "backoff", 0);
      return wait;
    });
    if (waits.length > 0) return waits;
    throw wrong(RangeError, `${doing} as 'backoff' must have at least one wait`, value);
  }
  if (typeof value !== "object" || value === null) {
    throw wrong(TypeError, `${doing} as 'backoff' must be a number, a list, { base, max } or a function`, value);
  }
  const { base, max } = checkOptions(value as ExponentialBackoff, EXPONENTIAL, doing, "'backoff'");
  checkDuration(base, doing, "backoff.base", 0);
  checkDuration(max, doing, "backoff.max", base);
  return { base, max };
}

/**
 * Milliseconds to wait after the given attempt (from 1) failed.
 *
 * @throws {unknown} What a `backoff` function throws; a `TypeError` if it returns anything but a number.
 */
export function retryDelay(backoff: BackoffOption, attempt: number, error: unknown): number {
  if (typeof backoff === "number") return backoff;
  if (typeof backoff === "function") return checkWait(backoff(attempt, error));
  if ("base" in backoff) return Math.round(exponential(attempt, backoff));
  return backoff[Math.min(attempt, backoff.length) - 1];
}

function checkWait(wait: unknown): number {
  if (typeof wait === "number" && !Number.isNaN(wait)) return Math.max(0, wait);
  // Avoids an unhandled rejection if the function is async.
  Promise.resolve(wait).catch(() => {});
  throw wrongType("wait before the retry as 'backoff' must return a number of milliseconds", wait);
}
