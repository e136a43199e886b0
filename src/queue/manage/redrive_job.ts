import type { JobPublisher } from "../publish/publish_job.ts";
import type { Call } from "../../wire/call.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { deleteMessage, mayBeDeleted } from "../../wire/streams.ts";
import { findDeadLetter } from "../store/dead_letters.ts";
import { parseJobHeaders } from "../format/job_headers.ts";
import { jobBytes } from "../format/job_size.ts";
import { partitionOf, type PreparedJob } from "../publish/publish_options.ts";
import { callQueue } from "../store/queue_call.ts";
import { idOf, priorityOf, tokenOf } from "../format/queue_names.ts";
import type { QueueContext } from "../store/queue_context.ts";

/** Headers of the dead letter, and those that are not kept in the redriven job. */
const LEFT_BEHIND = new Set([
  "Job-Nonce",
  "Job-Priority",
  "Job-Attempts",
  "Job-Died-At",
  "Job-Reason",
  "Job-Stack",
  "Job-Expires-At",
  "Job-After",
]);

/**
 * Makes a dead letter a job again, as unique as any other, whose attempts start anew; then removes the dead letter. Of several who redrive it at once,
 * the one who removes it has redriven it.
 *
 * @returns Whether this call has redriven it; `false`: another one has, or a job of its id is in the queue, so that it stays a dead letter.
 */
export async function redriveJob(
  call: Call,
  { names, stream }: QueueContext,
  publisher: JobPublisher,
  letter: StoredMessage,
): Promise<boolean> {
  const token = tokenOf(letter.subject);
  const all = letter.headers();
  const { key } = parseJobHeaders(all);
  const priority = priorityOf(letter.header("Job-Priority"));
  // Of one life of one dead letter: a repeat after a lost confirmation is recognised.
  const nonce = `redrive-${letter.sequence}-${letter.time.getTime()}`;
  const job: PreparedJob = {
    id: idOf(token),
    token,
    subject: key === undefined ? names.ready(priority, token) : names.keyed(partitionOf(key), token),
    payload: letter.data,
    nonce,
    repeatable: false,
    fresh: false,
    due: undefined,
    ttl: undefined,
    keyed: key !== undefined,
    replaces: false,
    headers: all.filter(([name]) => !LEFT_BEHIND.has(name) && !/^nats-/i.test(name)),
  };
  await publisher.open(call, job.keyed);
  const send = () => publisher.send(call, job, true);
  const { duplicate } = await stream.publishWithin(call, jobBytes(job), 1, send);
  if (duplicate) return false;
  // If the answer of an earlier attempt was lost, the letter that is not there any more was removed by that.
  const isRemoved = mayBeDeleted(call, names.deadStream);
  if (await deleteMessage(call, names.deadStream, letter.sequence) || isRemoved) return true;
  // The job may have died again already: then its new dead letter has taken the place of this one.
  return await findDeadLetter(call, names, token) !== null;
}

/**
 * Redrives the dead letter of an id.
 *
 * @param met Sequences of the dead letters that this call has met, by their tokens: a later attempt leaves a newer one alone, as the job that an earlier
 * attempt has stored may have died again.
 * @returns Whether this call has redriven it.
 */
export async function redriveById(
  call: Call,
  parts: QueueContext,
  publisher: JobPublisher,
  token: string,
  met: Map<string, number>,
): Promise<boolean> {
  const { names } = parts;
  const letter = await findDeadLetter(call, names, token);
  if (letter && !met.has(token)) met.set(token, letter.sequence);
  if (letter && letter.sequence === met.get(token)) return await redriveJob(call, parts, publisher, letter);
  return met.has(token) && (letter !== null || mayBeDeleted(call, names.deadStream));
}

/** Redrives a dead letter that was listed a while ago: it may be gone, and its job completed; `null` if that is not confirmed. */
export function redriveListed(
  parts: QueueContext,
  publisher: JobPublisher,
  letter: StoredMessage,
): Promise<boolean | null> {
  // The job that an earlier attempt has stored may have died again: then a newer dead letter has taken the place of this one.
  let isTried = false;
  return callQueue(parts, async (call) => {
    const present = isTried ? letter : await findDeadLetter(call, parts.names, tokenOf(letter.subject));
    if (present?.sequence !== letter.sequence) return false;
    isTried = true;
    return await redriveJob(call, parts, publisher, letter);
  });
}
