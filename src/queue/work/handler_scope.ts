import { AsyncLocalStorage } from "node:async_hooks";
import type { Job } from "./job.ts";

interface HandlerCall {
  /** The stores over which the jobs came. */
  readonly owner: object;
  readonly jobs: readonly Job[];
  /** Whether the handler has ended: what it began may still run. */
  over: boolean;
}

const scope = new AsyncLocalStorage<HandlerCall>();

/** Calls a handler with its jobs, so that what it calls can find out. */
export function callHandler(owner: object, jobs: readonly Job[], handler: () => unknown): unknown {
  const call: HandlerCall = { owner, jobs, over: false };
  let isPending = false;
  try {
    const result = scope.run(call, handler);
    // Only an object or a function can be a promise; for anything else none is made.
    isPending = Object(result) === result;
    return isPending ? endWith(call, result) : result;
  } finally {
    if (!isPending) call.over = true;
  }
}

async function endWith(call: HandlerCall, result: unknown): Promise<unknown> {
  try {
    return await result;
  } finally {
    call.over = true;
  }
}

/** The jobs of the handler that called this, directly or not, and has not ended; none outside of handlers. */
export function callersJobs(owner: object): readonly Job[] {
  const call = scope.getStore();
  return call?.owner === owner && !call.over ? call.jobs : [];
}

/** Calls something as if no handler did. */
export function outsideHandlers<R>(callback: () => R): R {
  return scope.exit(callback);
}
