import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { leaderGet } from "../../wire/leader_get.ts";
import { deleteMessage } from "../../wire/streams.ts";
import type { JobMessage } from "../format/job_message.ts";
import { firingOf, isSuperseded, parseJobHeaders } from "../format/job_headers.ts";
import { findJobMessage, isDelayed } from "./find_job.ts";

/** Removes the message that a moved copy replaces, if the worker that moved it died before it could. */
export async function removeReplaced(
  call: Call,
  { stream }: QueueNames,
  { headers: { replaces }, sequence, token }: Pick<JobMessage, "headers" | "sequence" | "token">,
): Promise<void> {
  if (replaces === undefined || replaces >= sequence) return;
  const old = await leaderGet(call, stream, { seq: replaces });
  if (old?.subject.endsWith(`.${token}`)) await deleteMessage(call, stream, replaces);
}

/** Whether a newer message of the same id is in the queue. */
export async function hasNewerMessage(
  call: Call,
  names: QueueNames,
  { sequence, token }: Pick<JobMessage, "sequence" | "token">,
): Promise<boolean> {
  const newest = await findJobMessage(call, names, token);
  return newest !== null && newest.sequence > sequence;
}

/**
 * Whether another message of a job is in the queue that takes the place of what a schedule has made: a copy that was changed, or a retry of what the
 * same schedule had made before.
 */
export async function isSupersededFiring(
  call: Call,
  names: QueueNames,
  { firing, sequence, token, allHeaders }: Pick<JobMessage, "firing" | "sequence" | "token" | "allHeaders">,
): Promise<boolean> {
  for (let seq = 1;;) {
    const other = await leaderGet(call, names.stream, { seq, next_by_subj: names.idFilter(token) });
    if (!other) return false;
    seq = other.sequence + 1;
    const headers = parseJobHeaders(other.headers());
    // Its own delayed message is none: it may be there again, and counts as late. Nor is what it replaces, whose worker may not have removed it yet.
    const isOwn = other.sequence === sequence || other.sequence <= (allHeaders.replaces ?? 0) ||
      isDelayed(other) && firingOf(token, headers) === firing;
    if (!isOwn && isSuperseded(token, allHeaders, headers, other.sequence < sequence)) return true;
  }
}

/** Removes the moved copy of a message whose run has ended: the worker that moved it had not seen the run. */
export async function removeCopy(
  call: Call,
  names: QueueNames,
  { sequence, token }: Pick<JobMessage, "sequence" | "token">,
): Promise<void> {
  const copy = await findJobMessage(call, names, token);
  if (copy?.header("Job-Replaces") !== String(sequence)) return;
  await deleteMessage(call, names.stream, copy.sequence);
}
