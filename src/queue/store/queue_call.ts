import type { AttemptOptions } from "../../connection/attempts.ts";
import type { Call } from "../../wire/call.ts";
import type { Context } from "../../wire/context.ts";

/**
 * How something is removed whose amount is returned: when the connection broke meanwhile, it is unknown (`null`), since a repeat would meet
 * less.
 */
export const REMOVAL: Partial<AttemptOptions> = { repeatable: ({ reason }) => reason !== "lost" };

/** How a job is changed: a call that ends in between leaves a copy of it, for which others wait. */
export const CHANGE: Partial<AttemptOptions> = { persist: true };

/** Does something on a queue; `null` where that cannot be done within the time that a call may take. */
export function callQueue<R>(
  { context }: { context: Context },
  operation: (call: Call) => Promise<R>,
  options?: Partial<AttemptOptions>,
): Promise<R | null> {
  return context.connection.attempt(operation, { timeout: context.timeout, ...options });
}
