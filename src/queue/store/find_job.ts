import type { QueueStream } from "./queue_stream.ts";
import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { leaderGet } from "../../wire/leader_get.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { matchesSubject } from "../../wire/tokens.ts";
import { consumerInfo } from "./durable_consumer.ts";
import { parseJobData } from "../format/job_data.ts";
import { parseJobHeaders } from "../format/job_headers.ts";
import type { JobMessage } from "../format/job_message.ts";
import { callQueue } from "./queue_call.ts";
import type { QueueContext } from "./queue_context.ts";
import { idOf, isReplacement, kindOf, type Priority, priorityOf, tokenOf } from "../format/queue_names.ts";

/**
 * A job that is in the queue.
 *
 * @category Jobs
 */
export interface JobInfo<T = unknown> {
  /** The job's id. */
  id: string;
  /** What was published; `undefined` if it is no JSON. */
  data: T | undefined;
  /** `ready`: waits for a worker. `active`: handed to one. `delayed`: not due yet. */
  state: "ready" | "active" | "delayed";
  /** How urgent it is. */
  priority: Priority;
  /** Number of the present or coming attempt, from 1. */
  attempt: number;
  /** When it was first published. */
  enqueuedAt: Date;
  /** When a delayed job is due. */
  runAt: Date | null;
  /** The headers that its publisher gave. */
  headers: Record<string, string>;
  /** Its place in the queue: rises from job to job, and is another one after each retry. */
  sequence: number;
}

/** The newest message of a job's id, from the leader: what decides must not come from a replica that lags. */
export function findJobMessage(call: Call, names: QueueNames, token: string): Promise<StoredMessage | null> {
  return leaderGet(call, names.stream, { last_by_subj: names.idFilter(token) });
}

/** Whether this call may have stored a message of a job's id, whatever its subject, without an acknowledgement. */
export function mayJobBeStored(call: Call, names: QueueNames, token: string): boolean {
  return call.hasUnconfirmed((subject) => matchesSubject(names.idFilter(token), subject));
}

/** Whether a message is still in the queue, by its sequence and the time at which it was stored (nanoseconds); `null` if that is unknown. */
export function isStored(
  parts: QueueContext,
  { sequence, storedAt }: Pick<JobMessage, "sequence" | "storedAt">,
): Promise<boolean | null> {
  return callQueue(parts, async (call) => {
    const message = await leaderGet(call, parts.names.stream, { seq: sequence });
    return message !== null && storedAt.startsWith(String(message.time.getTime()));
  });
}

/** Whether the message of this sequence is stored, and of the job with this subject token. */
export async function isMessageOf(
  call: Call,
  names: QueueNames,
  sequence: number,
  token: string,
): Promise<boolean> {
  const message = await leaderGet(call, names.stream, { seq: sequence });
  return message !== null && tokenOf(message.subject) === token;
}

/** Whether a message is that of a delayed job. */
export function isDelayed({ subject }: StoredMessage): boolean {
  return kindOf(subject) === "later";
}

/** Whether a message is a copy of which it is not decided yet whether it takes the place of a waiting one. */
export function isUndecided(message: StoredMessage): boolean {
  return isReplacement(message.subject) && message.header("Job-Replacing") !== undefined;
}

/** Looks a job up by its id. */
export async function findJob<T>(
  call: Call,
  { names, stream }: { names: QueueNames; stream: QueueStream },
  token: string,
): Promise<JobInfo<T> | null> {
  const message = await findJobMessage(call, names, token);
  if (!message) {
    await stream.checkKind(call);
    return null;
  }
  return readJobInfo<T>(message, await deliveredUpTo(call, names, message.subject));
}

/** Up to which sequence the durable consumer of a job's subject has handed out; `null` for a delayed one, which has none. */
export async function deliveredUpTo(call: Call, names: QueueNames, subject: string): Promise<number | null> {
  const kind = kindOf(subject);
  if (kind === "later") return null;
  const place = subject.split(".")[3];
  const info = await consumerInfo(call, names, kind === "keyed" ? `k${place}` : place);
  return info?.delivered.stream_seq ?? 0;
}

/** Reads a job's message. */
export function readJobInfo<T>(message: StoredMessage, delivered: number | null): JobInfo<T> {
  const [, , , place, token] = message.subject.split(".");
  const headers = parseJobHeaders(message.headers());
  const due = /^@at (.+)$/.exec(message.header("Nats-Schedule") ?? "")?.[1];
  return {
    id: idOf(token),
    data: parseJobData<T>(message.data),
    state: delivered === null ? "delayed" : delivered >= message.sequence ? "active" : "ready",
    // A delayed job keeps its subject when its priority changes: what counts is where its schedule sends it.
    priority: priorityOf(message.header("Nats-Schedule-Target")?.split(".")[3] ?? place),
    attempt: headers.attempt,
    enqueuedAt: headers.enqueuedAt ?? message.time,
    runAt: due === undefined ? null : new Date(due),
    headers: Object.fromEntries(headers.own),
    sequence: message.sequence,
  };
}
