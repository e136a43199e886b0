import { Unavailable } from "../connection/unavailable.ts";
import type { Call } from "./call.ts";

/** Milliseconds of the first attempt; each next one has twice as many. */
const FIRST_ATTEMPT_MS = 1_000;

/**
 * Repeats what has several steps and may be done twice, until it is answered or the call's deadline passes: a lost answer must not cost the whole
 * deadline, and a slow one is waited for longer each time. A single request is sent again by the request layer itself.
 *
 * @param attempt Gets the call with the deadline of this attempt.
 * @throws {Unavailable} If no attempt was answered.
 */
export async function retryUntil<T>(call: Call, attempt: (call: Call) => Promise<T>): Promise<T> {
  for (let ms = FIRST_ATTEMPT_MS;; ms *= 2) {
    try {
      return await attempt(call.until(Math.min(call.deadline, performance.now() + ms)));
    } catch (error) {
      const isUnanswered = error instanceof Unavailable && error.reason === "timeout";
      if (!isUnanswered || performance.now() >= call.deadline) throw error;
    }
  }
}
