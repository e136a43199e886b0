import type { Call } from "../../wire/call.ts";
import { checkDuration } from "../../checks.ts";
import { settledWithin } from "../../delay.ts";
import { JetStreamStoreError, JobFailedError } from "../../errors.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import { shownName } from "../../shown.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { findDeadLetter, readDeadLetter } from "../store/dead_letters.ts";
import { findJobMessage } from "../store/find_job.ts";
import type { JobEvent } from "../format/job_event.ts";
import { listenToEvents } from "../store/job_events.ts";
import { parseJobHeaders } from "../format/job_headers.ts";
import { callQueue } from "../store/queue_call.ts";
import { idOf } from "../format/queue_names.ts";
import type { QueueContext } from "../store/queue_context.ts";

/**
 * Options of {@linkcode JobQueue.waitFor}.
 *
 * @category Jobs
 */
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

/** Milliseconds until it looks again although no event came: first once workers have certainly found the listener, then in case an event was lost. */
const LOOK_INTERVAL_MS = { first: 1_500, further: 10_000 };

/** Milliseconds for which the event of how a job left the queue may be under way. */
const EVENT_DELAY_MS = 1_500;

/** Milliseconds before its end at which it looks for the last times: what has gone by the first of them can be told at the other. */
const LAST_LOOKS_MS = [500 + EVENT_DELAY_MS, 500];

/**
 * Waits until a job is done.
 *
 * It listens, looks, and looks again at each event and after each reconnect, so that a missed event does not matter.
 *
 * @param timeout Milliseconds.
 * @returns What the handler returned, where the job keeps its result; else `undefined`.
 * @throws {JetStreamStoreError} `disconnected`, if the stores are closed, or no server is configured.
 */
export async function waitForJob(parts: QueueContext, token: string, timeout: number): Promise<unknown> {
  const wait = new JobWait(parts, token, timeout);
  try {
    const outcome = await wait.outcome();
    if ("failure" in outcome) throw outcome.failure;
    return outcome.value;
  } finally {
    wait.stop();
  }
}

class JobWait {
  readonly #parts: QueueContext;
  readonly #token: string;
  readonly #timeout: number;
  readonly #until: number;
  readonly #seen: Seen = { stored: null, enqueuedAt: null, keepsResult: false, gone: null, lastEvent: null };
  readonly #stopListening: () => void;
  readonly #closer = () => Promise.resolve(this.#news.resolve());
  #denied: Error | null = null;
  #pause = LOOK_INTERVAL_MS.first;
  #news = Promise.withResolvers<void>();
  /** Whether the last look that could be finished has been answered. */
  #answered = false;

  constructor(parts: QueueContext, token: string, timeout: number) {
    this.#parts = parts;
    this.#token = token;
    this.#timeout = timeout;
    this.#until = performance.now() + timeout;
    this.#stopListening = listenToEvents(parts.context, parts.names, token, {
      event: (event) => {
        // A worker sends these some milliseconds late: after a cancel they say nothing of the job's end.
        if (event.type !== "progress" && event.type !== "started") this.#seen.lastEvent = event.type;
        this.#news.resolve();
      },
      begun: () => {
        this.#pause = LOOK_INTERVAL_MS.first;
        this.#news.resolve();
      },
      denied: (error) => {
        this.#denied = error;
        this.#news.resolve();
      },
    });
    parts.context.closers.add(this.#closer);
  }

  /** Looks until the job has ended, or the time is over. */
  async outcome(): Promise<Outcome> {
    for (;;) {
      this.#news = Promise.withResolvers();
      const found = await this.#look();
      if (this.#denied) throw this.#denied;
      if (found) return found;
      const rest = this.#until - performance.now();
      if (rest <= 0) throw this.#timeoutError();
      const pause = this.#seen.gone === null ? this.#pause : EVENT_DELAY_MS;
      const last = LAST_LOOKS_MS.find((before) => rest > before) ?? 0;
      const isNew = await settledWithin(this.#news.promise, Math.min(pause, rest - last));
      if (!isNew) this.#pause = LOOK_INTERVAL_MS.further;
    }
  }

  stop(): void {
    this.#stopListening();
    this.#parts.context.closers.delete(this.#closer);
  }

  async #look(): Promise<Outcome | null> {
    const { context } = this.#parts;
    const left = this.#until - performance.now();
    // One without time for an answer would be of no use.
    if (left <= 1 && this.#answered) return null;
    const done = await callQueue(
      this.#parts,
      async (call) => ({ found: await look(call, this.#parts, this.#token, this.#seen) }),
      { timeout: Math.min(Math.max(1, left), context.timeout) },
    );
    this.#answered = done !== null;
    if (done === null && !context.connection.isOn) {
      const id = idOf(this.#token);
      throw new JetStreamStoreError(
        "disconnected",
        `Job ${shownName(id)} cannot be waited for without a connection to NATS`,
      );
    }
    return done?.found ?? null;
  }

  #timeoutError(): DOMException {
    const { keepsResult, stored, gone } = this.#seen;
    const hint = !this.#answered
      ? ": NATS does not answer"
      : stored !== null && gone === null
      ? ": it is still in the queue"
      : keepsResult
      ? ""
      : ": publish it with 'keepResult' to make the wait certain, as a job that has left the queue leaves nothing else";
    return new DOMException(
      `Job ${shownName(idOf(this.#token))} was not seen done within ${this.#timeout} ms${hint}`,
      "TimeoutError",
    );
  }
}

/** What is known of the job from before. */
interface Seen {
  /** When its message was stored, as it was last seen in the queue. */
  stored: Date | null;
  /** When it was first published. */
  enqueuedAt: Date | null;
  keepsResult: boolean;
  /** Since when, by `performance.now()`, it is no longer there for an unknown reason. */
  gone: number | null;
  lastEvent: JobEvent["type"] | null;
}

/** How the job ended, or `null` if it has not, or that is unknown. */
async function look(
  call: Call,
  { names, results }: QueueContext,
  token: string,
  seen: Seen,
): Promise<Outcome | null> {
  // One that comes while it looks may be of a job that was not there yet when it looked for the result: then it looks again.
  const { lastEvent } = seen;
  const message = await findJobMessage(call, names, token);
  if (message) {
    noteMessage(seen, message, lastEvent);
    return null;
  }
  const id = idOf(token);
  const fail = (reason: string, attempts?: number) => ({ failure: new JobFailedError(reason, { id, attempts }) });
  // What an earlier job of this id has left says nothing of this one.
  const since = seen.stored?.getTime() ?? 0;
  const kept = await results.result(call, token);
  const result = kept && kept.time.getTime() >= since ? kept : null;
  const letter = await findDeadLetter(call, names, token);
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
  if (performance.now() - seen.gone < EVENT_DELAY_MS) return null;
  return seen.keepsResult ? fail("The job was taken out of the queue") : { value: undefined };
}

/** @param lastEvent The last one that had come before the message was looked for. */
function noteMessage(seen: Seen, message: StoredMessage, lastEvent: JobEvent["type"] | null): void {
  const { enqueuedAt = message.time, keepResult } = parseJobHeaders(message.headers());
  // It was of another job of the id. A job that was acknowledged can still be there, with replicas; a cancelled one is not.
  const isOfOther = lastEvent === "cancelled" || seen.enqueuedAt?.getTime() !== enqueuedAt.getTime();
  if (isOfOther && seen.lastEvent === lastEvent) seen.lastEvent = null;
  Object.assign(seen, { stored: message.time, enqueuedAt, keepsResult: keepResult !== undefined, gone: null });
}
