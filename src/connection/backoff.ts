/** Options of {@linkcode backoff}. */
export interface BackoffOptions {
  /** Milliseconds of the first wait, before jitter. */
  base: number;
  /** Milliseconds that no wait exceeds. */
  max: number;
}

/**
 * Milliseconds to wait after the given number of failures (from 1): doubles each time up to `max`, and a random half of it is subtracted, so
 * that many processes do not return at the same moment.
 */
export function backoff(failures: number, { base, max }: BackoffOptions): number {
  const full = Math.min(max, base * 2 ** Math.min(failures - 1, 52));
  return full * (0.5 + Math.random() / 2);
}
