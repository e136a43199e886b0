import { Unavailable } from "../connection/unavailable.ts";

/** Milliseconds of the first try; each next one has twice as many. */
const FIRST_TRY_MS = 1_000;

/**
 * Does again what has several steps and may be done twice, until it is answered or the deadline passes: an answer that got lost must not cost the whole
 * deadline, and one that takes long is waited for longer each time. A single request is sent again by the request layer itself.
 *
 * @param send Gets the deadline of this try.
 * @throws {Unavailable} If no try was answered.
 */
export function insist<T>(
  deadline: number,
  send: (deadline: number) => Promise<T>,
  tryMs: number = FIRST_TRY_MS,
): Promise<T> {
  return send(Math.min(deadline, performance.now() + tryMs)).catch((error) => {
    if (!(error instanceof Unavailable && error.reason === "timeout") || performance.now() >= deadline) throw error;
    return insist(deadline, send, 2 * tryMs);
  });
}
