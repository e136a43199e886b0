import { leaderGet } from "../wire/direct_get.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { decodeToken } from "../wire/tokens.ts";
import { parseJobData } from "./job_data.ts";
import { parseJobHeaders } from "./job_headers.ts";
import { PRIORITIES, type Priority, type QueueNames } from "./queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";

/** A job that is in the queue. */
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
}

/** The newest message of a job's id, from the leader: what decides must not come from a replica that lags. */
export function findJobMessage(
  session: Session,
  names: QueueNames,
  token: string,
  deadline: number,
): Promise<StoredMessage | null> {
  return leaderGet(session, names.stream, { last_by_subj: names.idFilter(token) }, deadline);
}

/** Looks a job up by its id. */
export async function findJob<T>(
  session: Session,
  names: QueueNames,
  stream: QueueStream,
  token: string,
  deadline: number,
): Promise<JobInfo<T> | null> {
  const message = await findJobMessage(session, names, token, deadline);
  if (!message) return null;
  const [, , kind, place] = message.subject.split(".");
  const headers = parseJobHeaders(message.headers());
  const consumer = kind === "keyed" ? `k${place}` : place;
  const delivered = kind === "later"
    ? null
    : (await stream.consumerInfo(session, consumer, deadline))?.delivered.stream_seq ?? 0;
  const due = /^@at (.+)$/.exec(message.header("Nats-Schedule") ?? "")?.[1];
  return {
    id: decodeToken(token) ?? token,
    data: parseJobData<T>(message.data),
    state: delivered === null ? "delayed" : delivered >= message.sequence ? "active" : "ready",
    priority: PRIORITIES.find((priority) => priority === place) ?? "normal",
    attempt: headers.attempt,
    enqueuedAt: headers.enqueuedAt ?? message.time,
    runAt: due === undefined ? null : new Date(due),
  };
}
