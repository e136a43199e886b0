import { AsyncLocalStorage } from "node:async_hooks";
import type { Delivery } from "../delivery/delivery.ts";
import type { HeldJobs } from "../delivery/held_jobs.ts";
import { type Job, RunningJob } from "./job.ts";

/**
 * The number of the handler's call, in all that it calls. Not an object: Deno keeps stores in a `WeakMap`, where a young object survives with all that
 * it refers to until the next full collection, which cost a worker a quarter of its time.
 */
const scope = new AsyncLocalStorage<number>();
let calls = 0;

/** What the workers of this process hold, and the stores over which it came. */
const workers: Map<HeldJobs, object> = new Map();

/** Lets the handlers of a worker be found, until it has stopped. */
export function noteWorker(owner: object, held: HeldJobs, over: AbortSignal): void {
  workers.set(held, owner);
  over.addEventListener("abort", () => workers.delete(held), { once: true });
}

/** Calls a handler with its job or batch, so that what it calls can find out which jobs these are. */
export function callHandler<Given>(
  handler: (given: Given) => unknown,
  given: Given,
  jobs: readonly Job[],
): unknown {
  const call = ++calls;
  for (const job of jobs) RunningJob.noteCall(job, call);
  const result = scope.run(call, handler, given);
  // Only an object or a function can be a promise: with anything else the handler has ended, and what it began may still run.
  if (Object(result) !== result) { for (const job of jobs) RunningJob.noteCall(job, 0); }
  return result;
}

/**
 * The runs of the handler that called this, directly or not, and has not ended; none outside of handlers.
 *
 * @param owner The stores over which the jobs came.
 */
export function callersRuns(owner: object): Delivery[] {
  const call = scope.getStore();
  if (call === undefined) return [];
  const held = [...workers].filter(([, its]) => its === owner).flatMap(([{ handling }]) => [...handling]);
  return held.filter((run) => run.call === call);
}

/** Calls something as if no handler did. */
export function outsideHandlers<R>(callback: () => R): R {
  // In Deno, what exit() calls is within the handler again after its first await.
  return scope.run(undefined as never, callback);
}
