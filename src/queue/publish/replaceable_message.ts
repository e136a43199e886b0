import { delay } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { Call } from "../../wire/call.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import type { HeaderList, JobHeaders } from "../format/job_headers.ts";
import { kindOf, priorityOf, tokenOf } from "../format/queue_names.ts";
import type { QueueStore } from "../store/queue_context.ts";

/** The version of nats-server that stores a message and removes the schedule it replaces in one step. */
export const REPLACE_VERSION = "2.14";

/** Milliseconds between two looks at a job that another call changes, or whose schedule fires. */
const LOOK_AGAIN_MS = 50;

/**
 * Milliseconds around the moment of a schedule in which the server may be firing it: it takes those that are due in batches, and stores what they make
 * one by one, whatever has become of them meanwhile. The clocks of replicas differ.
 */
const FIRING_MS = { before: 250, beforeWithReplicas: 1_000, after: 10_000 };

/** Whether the server may be storing what the schedule of a delayed message makes, so that a copy would be a second one. */
export async function mayBeFiring(call: Call, { stream }: QueueStore, message: StoredMessage): Promise<boolean> {
  const { replicas } = await stream.existing(call);
  const left = dueOf(message) - call.session.now();
  const { before, beforeWithReplicas, after } = FIRING_MS;
  return left < (replicas > 1 ? beforeWithReplicas : before) && left > -after;
}

/** Waits a moment, as another call or a schedule is at work on the job. */
export async function waitToLookAgain(call: Call): Promise<void> {
  await delay(LOOK_AGAIN_MS, { signal: call.session.signal });
  if (performance.now() >= call.deadline) {
    throw new Unavailable("timeout", "Another call or a schedule changes the job");
  }
}

/** When a delayed message is due, in milliseconds; `NaN` of any other. */
export function dueOf(message: StoredMessage): number {
  return Date.parse(/^@at (.+)$/.exec(message.header("Nats-Schedule") ?? "")?.[1] ?? "");
}

/** The headers of a message that a copy of it keeps: all but the server's, and those that {@linkcode replaceJob} sets. */
export function keptHeaders(present: StoredMessage, headers: JobHeaders): HeaderList {
  const kept = headers.all.filter(([name]) => !SET_ANEW.test(name));
  if (headers.enqueuedAt === undefined) kept.push(["Job-Enqueued-At", present.time.toISOString()]);
  return kept;
}

const SET_ANEW = /^(nats-.*|job-nonce|job-replacing|job-displaces|job-after|job-due)$/i;

/** The subject under which workers get the job of a message, whether it waits or is delayed. */
export function readySubject({ names }: QueueStore, present: StoredMessage): string {
  const { subject } = present;
  if (kindOf(subject) !== "later") return subject;
  const target = present.header("Nats-Schedule-Target");
  return target ?? names.ready(priorityOf(subject.split(".")[3]), tokenOf(subject));
}

/** The subject of a delayed job that workers get under a subject. */
export function laterSubject({ names }: QueueStore, ready: string): string {
  return names.later(priorityOf(ready.split(".")[3]), tokenOf(ready));
}
