import { Unavailable } from "../connection/unavailable.ts";

/** Milliseconds after which an unanswered request is sent again. */
const TRY = 1_000;

/** Until when a request waits before it is sent again. */
export function firstTry(deadline: number): number {
  return Math.min(deadline, performance.now() + TRY);
}

/**
 * Sends what may be sent twice again and again, until it is answered or the deadline passes: an answer that got lost must not cost the whole
 * deadline.
 *
 * @param send Gets the deadline of this try.
 * @throws {Unavailable} If no try was answered.
 */
export function insist<T>(deadline: number, send: (deadline: number) => Promise<T>): Promise<T> {
  return send(firstTry(deadline)).catch((error) => {
    if (!(error instanceof Unavailable && error.reason === "timeout") || performance.now() >= deadline) throw error;
    return insist(deadline, send);
  });
}
