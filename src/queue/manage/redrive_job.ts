import type { JobPublisher } from "../publish/publish_job.ts";
import type { Call } from "../../wire/call.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { mayBeStored } from "../../wire/publish.ts";
import { deleteMessage, mayBeRemoved } from "../../wire/streams.ts";
import { findDeadLetter } from "../store/dead_letters.ts";
import { parseJobHeaders } from "../format/job_headers.ts";
import { jobBytes } from "../format/job_size.ts";
import { partitionOf, type PreparedJob } from "../publish/publish_options.ts";
import { idOf, priorityOf, type QueueNames, tokenOf } from "../format/queue_names.ts";
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

/** A dead letter that a call redrives, over all its attempts. */
export interface Redriven {
  readonly letter: StoredMessage;
  /** Whether it is confirmed that its job is stored. */
  isStored: boolean;
}

/**
 * Makes a dead letter a job again, as unique as any other, whose attempts start anew; then removes the dead letter. Of several who redrive it at once,
 * the one who removes it has redriven it.
 *
 * The letter may have been listed a while ago: it is looked for before each attempt, as it may have been discarded.
 *
 * @returns Whether this call has redriven it; `false`: another one has, or a job of its id is in the queue, so that it stays a dead letter.
 */
export async function redriveJob(
  call: Call,
  queue: QueueContext,
  publisher: JobPublisher,
  redriven: Redriven,
): Promise<boolean> {
  const { letter } = redriven;
  const { deadStream } = queue.names;
  const job = jobOf(queue.names, letter);
  let present = await findDeadLetter(call, queue.names, job.token);
  if (present?.sequence === letter.sequence) {
    if (!redriven.isStored && !await storeJob(call, queue, publisher, job)) return false;
    redriven.isStored = true;
    if (await deleteMessage(call, deadStream, letter.sequence)) return true;
    present = await findDeadLetter(call, queue.names, job.token);
  }
  if (!redriven.isStored && !mayBeStored(call, job.subject)) return false;
  // The job may have died again already: then its new dead letter has taken the place of this one. If the answer of an earlier attempt was lost, that has
  // removed the letter.
  return present !== null || mayBeRemoved(call, "message", deadStream);
}

/** Stores the job of a dead letter; `false` if another one of its id is in the queue. */
async function storeJob(
  call: Call,
  { stream }: QueueContext,
  publisher: JobPublisher,
  job: PreparedJob,
): Promise<boolean> {
  await publisher.open(call, job.keyed);
  const { duplicate } = await stream.publishWithin(call, jobBytes(job), 1, () => publisher.send(call, job, true));
  return !duplicate;
}

function jobOf(names: QueueNames, letter: StoredMessage): PreparedJob {
  const token = tokenOf(letter.subject);
  const all = letter.headers();
  const { key } = parseJobHeaders(all);
  const priority = priorityOf(letter.header("Job-Priority"));
  return {
    id: idOf(token),
    token,
    subject: key === undefined ? names.ready(priority, token) : names.keyed(partitionOf(key), token),
    payload: letter.data,
    // Of one life of one dead letter: a repeat after a lost confirmation is recognised.
    nonce: `redrive-${letter.sequence}-${letter.time.getTime()}`,
    repeatable: false,
    fresh: false,
    due: undefined,
    ttl: undefined,
    keyed: key !== undefined,
    replaces: false,
    headers: all.filter(([name]) => !LEFT_BEHIND.has(name) && !/^nats-/i.test(name)),
  };
}

/**
 * Redrives the dead letter of an id.
 *
 * @param met The dead letters that this call has met, by their tokens: a later attempt leaves a newer one alone, as the job that an earlier attempt has
 * stored may have died again.
 * @returns Whether this call has redriven it.
 */
export async function redriveById(
  call: Call,
  queue: QueueContext,
  publisher: JobPublisher,
  token: string,
  met: Map<string, Redriven>,
): Promise<boolean> {
  if (!met.has(token)) {
    const letter = await findDeadLetter(call, queue.names, token);
    if (!letter) return false;
    met.set(token, { letter, isStored: false });
  }
  return await redriveJob(call, queue, publisher, met.get(token)!);
}
