import { settledWithin } from "../connection/delay.ts";
import { JobFailedError } from "../errors.ts";
import type { Session } from "../wire/session.ts";
import { decodeToken } from "../wire/tokens.ts";
import { findDeadLetter, readDeadLetter } from "./dead_letters.ts";
import { findJobMessage } from "./find_job.ts";
import { type JobEvent, listenToEvents } from "./job_events.ts";
import type { QueueParts } from "./queue_parts.ts";

/** How a wait ends. */
type Outcome = { value: unknown } | { failure: JobFailedError };

/** Milliseconds until it looks again although no event came: first when workers surely know that it listens, then as a net below what got lost. */
const LOOK_AGAIN = { first: 1_500, later: 10_000 };

/**
 * Waits until a job is done.
 *
 * It listens, looks, and looks again at each event and after each reconnect, so that a missed event does not matter.
 *
 * @param timeout Milliseconds.
 * @returns What the handler returned, where the job keeps its result; else `undefined`.
 */
export async function waitForJob(parts: QueueParts, token: string, timeout: number): Promise<unknown> {
  const { context, names } = parts;
  const id = decodeToken(token) ?? token;
  const until = performance.now() + timeout;
  const seen: Seen = { inQueue: false, lastEvent: null };
  let denied: Error | null = null;
  let news = Promise.withResolvers<void>();
  const stop = listenToEvents(context, names, token, {
    event: (event) => {
      seen.lastEvent = event.type;
      news.resolve();
    },
    begun: () => news.resolve(),
    denied: (error) => {
      denied = error;
      news.resolve();
    },
  });
  try {
    for (let pause = LOOK_AGAIN.first;; pause = LOOK_AGAIN.later) {
      news = Promise.withResolvers();
      const left = Math.max(1, until - performance.now());
      const outcome = await context.connection.attempt(
        async (session, deadline) => ({ found: await look(parts, session, token, seen, deadline) }),
        { timeout: Math.min(left, context.timeout) },
      );
      if (denied) throw denied;
      if (outcome?.found) {
        if ("failure" in outcome.found) throw outcome.found.failure;
        return outcome.found.value;
      }
      const rest = until - performance.now();
      if (rest <= 0) throw new DOMException(`Job ${id} was not done within ${timeout} ms`, "TimeoutError");
      await settledWithin(news.promise, Math.min(pause, rest));
    }
  } finally {
    stop();
  }
}

/** What is known of the job from before. */
interface Seen {
  inQueue: boolean;
  lastEvent: JobEvent["type"] | null;
}

/** How the job ended, or `null` if it has not, or nobody can tell. */
async function look(
  parts: QueueParts,
  session: Session,
  token: string,
  seen: Seen,
  deadline: number,
): Promise<Outcome | null> {
  const { names, results } = parts;
  if (await findJobMessage(session, names, token, deadline)) {
    seen.inQueue = true;
    return null;
  }
  const id = decodeToken(token) ?? token;
  const result = await results.result(session, token, deadline);
  const letter = await findDeadLetter(session, names, token, deadline);
  // Both can be there, of two lives of one id: the newer one counts.
  if (result && !(letter && letter.time > result.time)) return { value: result.value };
  if (letter) {
    const { reason, attempts } = readDeadLetter(letter);
    return { failure: new JobFailedError(reason, { id, attempts }) };
  }
  if (seen.lastEvent === "cancelled" || seen.lastEvent === "expired") {
    return {
      failure: new JobFailedError(
        `The job was ${seen.lastEvent === "cancelled" ? "cancelled" : "not started in time"}`,
        { id },
      ),
    };
  }
  return seen.inQueue || seen.lastEvent === "completed" ? { value: undefined } : null;
}
