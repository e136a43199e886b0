import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { parseJobHeaders } from "../format/job_headers.ts";
import type { JobMessage } from "../format/job_message.ts";
import { findJobMessage, isMessageOf, isUndecided } from "./find_job.ts";

/** Milliseconds that a call may take which changes a job: the copy of one that died is removed after them. */
const MAX_UNDECIDED_MS = 30_000;

/** Whether a message that was delivered is to run: now, after an active message of its id, or not at all, as another message takes its place. */
export type JobTurn = "now" | "behind" | "superseded";

/**
 * Finds out whether a message is to run whose job has been replaced, or is being replaced.
 *
 * @throws {Unavailable} While it is not decided.
 */
export async function findTurn(
  call: Call,
  names: QueueNames,
  { sequence, token, headers }: Pick<JobMessage, "sequence" | "token" | "headers">,
): Promise<JobTurn> {
  const { replacing, after = [] } = headers;
  // The call that was to decide has died. What it was to replace is there: it stays as it was.
  if (replacing !== undefined && await isMessageOf(call, names, replacing, token)) return "superseded";
  const newest = await findJobMessage(call, names, token);
  if (newest && newest.sequence > sequence) {
    const isGone = await removeAbandoned(call, names, newest, sequence);
    if (!isGone && !parseJobHeaders(newest.headers()).after?.includes(sequence)) return "superseded";
  }
  const stored = await Promise.all(after.map((active) => isMessageOf(call, names, active, token)));
  return stored.includes(true) ? "behind" : "now";
}

/**
 * Removes the newest message of a job if it is a copy that was to replace the message of this sequence, which is there, and its call has died before it
 * had decided: the job stays as it was. Tells whether it did.
 *
 * @throws {Unavailable} While the call may decide.
 */
export async function removeAbandoned(
  call: Call,
  names: QueueNames,
  newest: StoredMessage,
  sequence: number,
): Promise<boolean> {
  if (isUndecided(newest) && call.session.now() - newest.time.getTime() < MAX_UNDECIDED_MS) {
    throw new Unavailable("no_leader", "The job is being changed");
  }
  if (parseJobHeaders(newest.headers()).replacing !== sequence) return false;
  await deleteMessage(call, names.stream, newest.sequence);
  return true;
}
