import type { QueueNames } from "../format/queue_names.ts";
import type { Call } from "../../wire/call.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { ErrorCode, isServerError } from "../../wire/api.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { publish } from "../../wire/publish.ts";
import type { JobMessage } from "../format/job_message.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { removeAbandoned, takesPlaceOf } from "./job_turn.ts";
import { findJobMessage, isMessageOf } from "./find_job.ts";
import {
  type HeaderList,
  isSuperseded,
  type JobHeaders,
  lastingHeaders,
  parseJobHeaders,
  scheduleHeaders,
  supersedesHeader,
} from "../format/job_headers.ts";
import { guardHeaders } from "../format/guard_headers.ts";

/** What is put back: a job that was handed out, as its message has it. */
export type MovedJob = Pick<
  JobMessage,
  "subject" | "token" | "priority" | "sequence" | "allHeaders" | "enqueuedAt" | "data"
>;

/** How a job is put back. */
export interface Move {
  /** Number of the coming attempt: by default the one that its message has. */
  attempt?: number;
  /** Milliseconds until it is ready: none by default. */
  delay?: number;
  /** How often this attempt was delivered so far without a reported end: by default as often as its message says. */
  deliveries?: number;
  /** Starts of this attempt without a reported end: by default what its message says. Kept with `deliveries` only. */
  starts?: number;
  /** How often the job was postponed: by default as often as its message says. */
  postponed?: number;
  /** Whether it has started, as it has by default: then it is no longer too late to start it. */
  started?: boolean;
}

/**
 * Puts a job back as a new message of the same id, ready after `delay` milliseconds: guarded by the old message's sequence, so that a job that was
 * cancelled, or has moved already, does not come back.
 *
 * @returns Whether the old message is superseded (and is to be acknowledged); `false`: it is gone, the job was cancelled; `null`: it seems to be gone, which
 * a server of a cluster may say that was suspended, or does not lead yet.
 */
export async function moveJob(
  call: Call,
  names: QueueNames,
  job: MovedJob,
  move: Move,
): Promise<boolean | null> {
  const moved = await moveNewest(call, names, job, move, job.sequence);
  // A server that was killed and restarted may keep a message and not find it by its subject: to its guard there is none of this id.
  if (moved !== false || !await isLostToSubject(call, names, job)) return moved;
  return await moveNewest(call, names, job, move, 0);
}

/** Whether the message of a job is there, and none is found by its id. */
async function isLostToSubject(call: Call, names: QueueNames, { token, sequence }: MovedJob): Promise<boolean> {
  return await isMessageOf(call, names, sequence, token) && await findJobMessage(call, names, token) === null;
}

/** @param newest The sequence that the newest message of its id is to have; 0: there is to be none. */
async function moveNewest(
  call: Call,
  names: QueueNames,
  job: MovedJob,
  move: Move,
  newest: number,
): Promise<boolean | null> {
  const { token, priority, sequence, allHeaders: headers, enqueuedAt } = job;
  const { delay = 0, started = true } = move;
  const moved: HeaderList = [
    ...lastingHeaders(headers, enqueuedAt).filter(([name]) => !started || name !== "Job-Expires-At"),
    ...runHeaders(headers, move),
    ...headers.fired || headers.supersedes ? supersedesHeader(token, headers) : [],
    ["Job-Replaces", String(sequence)],
    ...guardHeaders(names, token, newest),
  ];
  if (delay > 0) moved.push(...scheduleHeaders(job.subject, call.session.now() + delay));
  const subject = delay > 0 ? names.later(priority, token) : job.subject;
  try {
    await publish(call, subject, job.data, new HeaderBlock(moved), true);
    return true;
  } catch (error) {
    if (isServerError(error, ErrorCode.wrongLastSequenceUnknown)) {
      throw new Unavailable("no_leader", "Another publish of this id is in flight");
    }
    if (!isServerError(error, ErrorCode.wrongLastSequence)) throw error;
    return await hasMoved(call, names, job);
  }
}

/**
 * Whether the newest message of a job, which is not the one that is to be moved, is its copy.
 *
 * @throws {Unavailable} If it is to be moved again.
 */
async function hasMoved(
  call: Call,
  names: QueueNames,
  { token, sequence, allHeaders }: MovedJob,
): Promise<boolean | null> {
  // An earlier try of ours may have been stored and its answer lost; its copy may even have moved on.
  const newest = await findJobMessage(call, names, token);
  const isCertain = call.session.requests.alone;
  if (!newest) return isCertain ? false : null;
  const found = parseJobHeaders(newest.headers());
  if (takesPlaceOf(found, sequence)) return true;
  if (newest.sequence === sequence) throw new Unavailable("no_leader", "A change of the job was withdrawn");
  if (newest.sequence < sequence) return isCertain ? false : null;
  // What a server has back that was killed, and has fired again, is no newer job: without it this one is moved. Only a firing can be that.
  const isStale = found.fired === true && found.due !== undefined && isSuperseded(token, found, allHeaders, true);
  if (isStale) await deleteMessage(call, names.stream, newest.sequence);
  if (isStale || await removeAbandoned(call, names, newest, sequence)) {
    throw new Unavailable("no_leader", "Another copy of the job was removed");
  }
  return false;
}

/** The runs before a copy, in its headers. */
function runHeaders(headers: JobHeaders, move: Move): HeaderList {
  const {
    attempt = headers.attempt,
    deliveries = headers.deliveries,
    starts = headers.starts,
    postponed = headers.postponed,
  } = move;
  const list: HeaderList = [["Job-Attempt", String(attempt)]];
  if (deliveries > 0) list.push(["Job-Deliveries", String(deliveries)]);
  if (deliveries > 0 && starts !== undefined) list.push(["Job-Starts", String(starts)]);
  if (postponed > 0) list.push(["Job-Postponed", String(postponed)]);
  return list;
}
