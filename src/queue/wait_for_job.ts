import { checkDuration } from "../checks.ts";
import { settledWithin } from "../connection/delay.ts";
import { JetStreamStoreError, JobFailedError } from "../errors.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { findDeadLetter, readDeadLetter } from "./dead_letters.ts";
import { findJobMessage } from "./find_job.ts";
import { type JobEvent, listenToEvents } from "./job_events.ts";
import { parseJobHeaders } from "./job_headers.ts";
import type { JobResults } from "./job_results.ts";
import { callQueue, type QueueCall } from "./queue_call.ts";
import { idOf } from "./queue_names.ts";
import type { QueueParts } from "./queue_parts.ts";

/** Options of {@linkcode JobQueue.waitFor}. */
export interface WaitOptions {
  /** Milliseconds that it waits at most. */
  timeout: number;
}

const OPTIONS: OptionNames<WaitOptions> = { timeout: true };

/**
 * Milliseconds that a wait may take, checked.
 *
 * @throws {TypeError | RangeError} If an option is wrong.
 */
export function checkWait(options: WaitOptions): number {
  const { timeout } = checkOptions(options, OPTIONS, "wait for the job");
  checkDuration(timeout, "wait for the job", "timeout", 0);
  return timeout;
}

/** How a wait ends. */
type Outcome = { value: unknown } | { failure: JobFailedError };

/** Milliseconds until it looks again although no event came: first when workers surely know that it listens, then as a net below what got lost. */
const LOOK_AGAIN = { first: 1_500, later: 10_000 };

/** Milliseconds for which the event that tells how a job left the queue may be under way. */
const UNDER_WAY = 500;

/**
 * Waits until a job is done.
 *
 * It listens, looks, and looks again at each event and after each reconnect, so that a missed event does not matter.
 *
 * @param timeout Milliseconds.
 * @returns What the handler returned, where the job keeps its result; else `undefined`.
 * @throws {JetStreamStoreError} `disconnected`, if the stores are closed, or no server is configured.
 */
export async function waitForJob(parts: QueueParts, token: string, timeout: number): Promise<unknown> {
  const { context, names } = parts;
  const id = idOf(token);
  const until = performance.now() + timeout;
  const seen: Seen = { stored: null, keepsResult: false, gone: null, lastEvent: null };
  let denied: Error | null = null;
  let pause = LOOK_AGAIN.first;
  let news = Promise.withResolvers<void>();
  const stop = listenToEvents(context, names, token, {
    event: (event) => {
      seen.lastEvent = event.type;
      news.resolve();
    },
    begun: () => {
      pause = LOOK_AGAIN.first;
      news.resolve();
    },
    denied: (error) => {
      denied = error;
      news.resolve();
    },
  });
  const closer = (): Promise<void> => {
    news.resolve();
    return Promise.resolve();
  };
  context.closers.add(closer);
  try {
    for (;;) {
      news = Promise.withResolvers();
      const left = Math.max(1, until - performance.now());
      const outcome = await callQueue(
        parts,
        async (call) => ({ found: await look(call, parts.results, token, seen) }),
        { timeout: Math.min(left, context.timeout) },
      );
      if (denied) throw denied;
      if (outcome?.found) {
        if ("failure" in outcome.found) throw outcome.found.failure;
        return outcome.found.value;
      }
      if (outcome === null && !context.connection.isOn) {
        throw new JetStreamStoreError("disconnected", `Job ${id} cannot be waited for without a connection to NATS`);
      }
      const rest = until - performance.now();
      if (rest <= 0) {
        const why = outcome === null ? ": NATS does not answer" : "";
        throw new DOMException(`Job ${id} was not seen done within ${timeout} ms${why}`, "TimeoutError");
      }
      const told = await settledWithin(news.promise, Math.min(seen.gone === null ? pause : UNDER_WAY, rest));
      if (!told) pause = LOOK_AGAIN.later;
    }
  } finally {
    stop();
    context.closers.delete(closer);
  }
}

/** What is known of the job from before. */
interface Seen {
  /** When its message was stored, as it was last seen in the queue. */
  stored: Date | null;
  keepsResult: boolean;
  /** Since when, by `performance.now()`, it is no longer there and nothing tells why. */
  gone: number | null;
  lastEvent: JobEvent["type"] | null;
}

/** How the job ended, or `null` if it has not, or nobody can tell. */
async function look(call: QueueCall, results: JobResults, token: string, seen: Seen): Promise<Outcome | null> {
  // One that comes while it looks tells of a job that may not have been there yet when it looked for the result: then it looks again.
  const { lastEvent } = seen;
  const message = await findJobMessage(call, token);
  if (message) {
    seen.stored = message.time;
    seen.keepsResult = parseJobHeaders(message.headers()).keepResult !== undefined;
    seen.gone = null;
    return null;
  }
  const id = idOf(token);
  const fail = (reason: string, attempts?: number) => ({ failure: new JobFailedError(reason, { id, attempts }) });
  // What an earlier job of this id has left says nothing of this one.
  const since = seen.stored?.getTime() ?? 0;
  const kept = await results.result(call, token);
  const result = kept && kept.time.getTime() >= since ? kept : null;
  const letter = await findDeadLetter(call, token);
  if (letter && letter.time.getTime() >= since && !(result && result.time >= letter.time)) {
    const { reason, attempts } = readDeadLetter(letter);
    return fail(reason, attempts);
  }
  if (result) return { value: result.value };
  if (lastEvent === "cancelled") return fail("The job was cancelled");
  if (lastEvent === "expired") return fail("The job was not started in time");
  if (lastEvent === "completed") return { value: undefined };
  if (seen.stored === null) return null;
  seen.gone ??= performance.now();
  if (performance.now() - seen.gone < UNDER_WAY) return null;
  return seen.keepsResult ? fail("The job was taken out of the queue") : { value: undefined };
}
