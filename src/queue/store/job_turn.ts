import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { retryUntil } from "../../wire/retry_until.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { type JobHeaders, parseJobHeaders } from "../format/job_headers.ts";
import type { JobMessage } from "../format/job_message.ts";
import { findJobMessage, isMessageOf, isUndecided } from "./find_job.ts";

/** Milliseconds that a call may take which changes a job: what one that died has left is removed after them. */
export const MAX_CHANGE_MS = 30_000;

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
  job: Pick<JobMessage, "sequence" | "token" | "headers">,
): Promise<JobTurn> {
  const { sequence, token, headers: { replacing, displaces, after = [] } } = job;
  // The call that was to decide has died. The job stayed as it was.
  if (replacing !== undefined) return "superseded";
  // The call has died that was to delete it, or a killed server has it back.
  if (displaces !== undefined && await isMessageOf(call, names, displaces, token)) {
    await removeMessage(call, names, displaces);
  }
  const newest = await findJobMessage(call, names, token);
  if (newest && newest.sequence > sequence && !await removeAbandoned(call, names, newest, sequence)) {
    if (await isSuperseded(call, names, newest, job)) return "superseded";
  }
  const stored = await Promise.all(after.map((active) => isMessageOf(call, names, active, token)));
  return stored.includes(true) ? "behind" : "now";
}

/** Whether a newer message of its job takes the place of a message: not if another client has published both under one id. */
async function isSuperseded(
  call: Call,
  names: QueueNames,
  newest: StoredMessage,
  { sequence, token }: Pick<JobMessage, "sequence" | "token">,
): Promise<boolean> {
  if (parseJobHeaders(newest.headers()).after?.includes(sequence)) return false;
  return takesPlaceOf(parseJobHeaders(newest.headers()), sequence) || !await isMessageOf(call, names, sequence, token);
}

/** Whether a message with these headers was stored in place of the one of this sequence, or of a later one of the same job. */
export function takesPlaceOf({ replaces = 0, displaces = 0 }: JobHeaders, sequence: number): boolean {
  return Math.max(replaces, displaces) >= sequence;
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
  const beingChanged = () => new Unavailable("no_leader", "The job is being changed");
  if (isUndecided(newest) && !isAbandoned(call, newest)) throw beingChanged();
  if (parseJobHeaders(newest.headers()).replacing !== sequence) return false;
  // If it is gone, the call has decided after all.
  if (!await deleteMessage(call, names.stream, newest.sequence)) throw beingChanged();
  return true;
}

/**
 * Ends a change of a waiting message of which only the copy is left: one that was decided takes the place of that message, which is deleted; any other is
 * removed, and the job is as it was. Tells whether it takes the place.
 */
export async function takesPlace(
  call: Call,
  names: QueueNames,
  { sequence }: StoredMessage,
  { displaces }: JobHeaders,
): Promise<boolean> {
  await removeMessage(call, names, displaces ?? sequence);
  return displaces !== undefined;
}

/** Removes a message if it is there. A leader that has gone never answers, so it is asked again. */
export async function removeMessage(call: Call, { stream }: QueueNames, sequence: number): Promise<void> {
  await retryUntil(call, (attempt) => deleteMessage(attempt, stream, sequence));
}

/** Whether a copy is so old that the call must have died which was to replace a waiting message by it. */
export function isAbandoned({ session }: Call, { time }: StoredMessage): boolean {
  return session.now() - time.getTime() >= MAX_CHANGE_MS;
}
