import { leaderGet } from "../../wire/leader_get.ts";
import { deleteMessage } from "../../wire/streams.ts";
import type { JobMessage } from "../format/job_message.ts";
import { findJobMessage } from "./find_job.ts";
import type { QueueCall } from "./queue_call.ts";

/** Removes the message that a moved copy replaces, if the worker that moved it died before it could. */
export async function removeReplaced(
  { session, deadline, names: { stream } }: QueueCall,
  { headers: { replaces }, sequence, token }: Pick<JobMessage, "headers" | "sequence" | "token">,
): Promise<void> {
  if (replaces === undefined || replaces >= sequence) return;
  const old = await leaderGet(session, stream, { seq: replaces }, deadline);
  if (old?.subject.endsWith(`.${token}`)) await deleteMessage(session, stream, replaces, deadline);
}

/** Whether a newer message of the same id is in the queue. */
export async function hasNewerMessage(
  call: QueueCall,
  { sequence, token }: Pick<JobMessage, "sequence" | "token">,
): Promise<boolean> {
  const newest = await findJobMessage(call, token);
  return newest !== null && newest.sequence > sequence;
}
