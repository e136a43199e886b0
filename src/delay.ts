import { clearTimeout, setTimeout } from "node:timers";
import { MAX_TIMER } from "./checks.ts";

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the wait early, without an error. */
  signal?: AbortSignal;
  /**
   * Whether the wait keeps the process alive.
   *
   * @default {true}
   */
  persistent?: boolean;
}

/** Waits `ms` milliseconds, but at most 24 days, or until the signal aborts. */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, MAX_TIMER));
    if (!persistent) timer.unref();
    signal?.addEventListener("abort", done, { once: true });
  });
}

/**
 * Waits until `promise` settles or `ms` milliseconds, but at most 24 days, have passed; returns whether it settled. Its error, if any, is for others to
 * handle.
 */
export function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), Math.min(Math.max(ms, 0), MAX_TIMER));
    const done = () => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(done, done);
  });
}
