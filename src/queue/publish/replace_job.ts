import { JetStreamStoreError } from "../../errors.ts";
import type { Call } from "../../wire/call.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { type JobHeaders, MAX_AFTER, parseJobHeaders, supersedesHeader } from "../format/job_headers.ts";
import { idOf, priorityOf, tokenOf } from "../format/queue_names.ts";
import { deliveredUpTo, findJobMessage, isMessageOf, isUndecided } from "../store/find_job.ts";
import type { QueueStore } from "../store/queue_context.ts";
import { dueOf, kindOf, laterSubject, mayBeFiring, REPLACE_VERSION, waitToLookAgain } from "./replaceable_message.ts";
import {
  type JobCopy,
  removeMessage,
  type Replacement,
  storeAnnounced,
  storeCopy,
  type Undecided,
} from "./store_copy.ts";

/** Milliseconds until a job that runs after an active one is first delivered. */
const BEHIND_ACTIVE_MS = 250;

/** How it ended: the sequence of the copy; or there is no job, or it is active. */
export type ReplaceResult = { sequence: number } | "absent" | "active";

/**
 * Replaces the message of a job, wherever it is, by a copy that is stored under the guard of the first.
 *
 * A delayed message is replaced in one step on the server, unless its schedule may be firing, which is waited for. A waiting one may be delivered at
 * any moment, and a server cannot replace it on condition that it was not. So the call announces the change to the workers, stores the copy as one that is undecided, and then asks how far the server has
 * delivered. If the waiting message was delivered, the copy is withdrawn. If it was not, a worker that gets it from now on has received the announcement, finds
 * the copy, and does not start it.
 *
 * @throws {JetStreamStoreError} `unsupported`, if the server is too old, or the job has a key or was made by a schedule.
 * @throws {RangeError} If the copy is too large.
 */
export async function replaceJob(
  call: Call,
  queue: QueueStore,
  token: string,
  replacement: Replacement,
): Promise<ReplaceResult> {
  call.session.server.require(REPLACE_VERSION, "Changing a job that waits");
  for (;;) {
    const present = await findJobMessage(call, queue.names, token);
    if (!present) {
      await queue.stream.checkKind(call);
      return "absent";
    }
    const headers = parseJobHeaders(present.headers());
    const isOwn = headers.nonce === replacement.nonce;
    const undecided = isUndecided(present);
    if (isOwn && !undecided) return { sequence: present.sequence };
    const result = !undecided
      ? await replaceMessage(call, queue, present, headers, replacement)
      : isOwn
      ? await goOn(call, queue, undecidedOf(present, headers, replacement), replacement)
      : null;
    if (result) return result;
    await waitToLookAgain(call);
  }
}

/** @returns `null`: the job has changed meanwhile, and is to be looked at again. */
async function replaceMessage(
  call: Call,
  queue: QueueStore,
  present: StoredMessage,
  headers: JobHeaders,
  replacement: Replacement,
): Promise<ReplaceResult | null> {
  const { subject, sequence } = present;
  checkReplaceable(subject);
  const { after = [] } = headers;
  const copy = copyOf(replacement, present, headers, kindOf(subject) === "later" ? dueOf(present) : undefined);
  if (kindOf(subject) === "later") {
    if (await mayBeFiring(call, queue, present)) return null;
    return await storeCopy(call, queue, { later: subject, sequence }, replacement, copy, after);
  }
  const undecided = { later: laterSubject(queue, subject), sequence, replaced: sequence, after, copy };
  if (await isDelivered(call, queue, subject, sequence)) {
    return await endBehindActive(call, queue, undecided, replacement);
  }
  const stored = await storeAnnounced(call, queue, undecided, replacement);
  return stored === null ? null : await decide(call, queue, { ...undecided, sequence: stored }, replacement);
}

/** The copy of a message. A server that was killed can have a delayed one back, and fire it: so the copy names what it supersedes. */
function copyOf(
  replacement: Replacement,
  present: StoredMessage,
  headers: JobHeaders,
  due: number | undefined,
): JobCopy {
  const copy = replacement.copy(present, headers, due);
  const others = copy.headers.filter(([name]) => name !== "Job-Supersedes");
  return { ...copy, headers: [...others, ...supersedesHeader(tokenOf(present.subject), headers)] };
}

/** Ticks and jobs with a key keep their messages. */
function checkReplaceable(subject: string): void {
  const token = tokenOf(subject);
  const cannot = `Job ${idOf(token)} cannot be changed`;
  if (kindOf(subject) === "keyed") {
    const why = "it has a key, and keeps its place among the jobs of that key. Cancel it, and publish another one";
    throw new JetStreamStoreError("unsupported", `${cannot}: ${why}`);
  }
  if (token.startsWith("@")) {
    throw new JetStreamStoreError("unsupported", `${cannot}: a schedule made it. Change the schedule`);
  }
}

/** An undecided copy that an earlier attempt of this call has stored. */
function undecidedOf(
  present: StoredMessage,
  headers: JobHeaders,
  replacement: Replacement,
): Undecided {
  const { after = [], replacing = 0 } = headers;
  const copy = copyOf(replacement, present, headers, undefined);
  return { later: present.subject, sequence: present.sequence, replaced: replacing, after, copy };
}

/** Goes on with an undecided copy of an earlier attempt of this call: one about which it had not decided is withdrawn, and it begins anew. */
async function goOn(
  call: Call,
  queue: QueueStore,
  undecided: Undecided,
  replacement: Replacement,
): Promise<ReplaceResult | null> {
  if (replacement.decided === undecided.sequence) return await commit(call, queue, undecided, replacement);
  await removeMessage(call, queue, undecided.sequence);
  return null;
}

/** Decides about an undecided copy, by whether the waiting message was delivered before the copy was there. */
async function decide(
  call: Call,
  queue: QueueStore,
  undecided: Undecided,
  replacement: Replacement,
): Promise<ReplaceResult | null> {
  const { later, sequence, replaced } = undecided;
  const waiting = queue.names.ready(priorityOf(later.split(".")[3]), tokenOf(later));
  if (await isDelivered(call, queue, waiting, replaced)) {
    return await endBehindActive(call, queue, undecided, replacement);
  }
  replacement.decided = sequence;
  return await commit(call, queue, undecided, replacement);
}

async function commit(
  call: Call,
  queue: QueueStore,
  undecided: Undecided,
  replacement: Replacement,
): Promise<ReplaceResult | null> {
  await removeMessage(call, queue, undecided.replaced);
  return await storeCopy(call, queue, undecided, replacement, undecided.copy, undecided.after);
}

/** The message was delivered first: the copy follows it, or is withdrawn. */
async function endBehindActive(
  call: Call,
  queue: QueueStore,
  undecided: Undecided,
  replacement: Replacement,
): Promise<ReplaceResult | null> {
  const { sequence, replaced, copy, after } = undecided;
  if (!replacement.behindActive) {
    if (sequence !== replaced) await removeMessage(call, queue, sequence);
    return "active";
  }
  const stored = await Promise.all(
    after.map((sequence) => isMessageOf(call, queue.names, sequence, tokenOf(copy.ready))),
  );
  const runsAfter = [...after.filter((_, i) => stored[i]), replaced].slice(-MAX_AFTER);
  const due = Math.max(copy.due ?? 0, call.session.now() + BEHIND_ACTIVE_MS);
  return await storeCopy(call, queue, undecided, replacement, { ...copy, due }, runsAfter);
}

async function isDelivered(call: Call, queue: QueueStore, subject: string, sequence: number): Promise<boolean> {
  return (await deliveredUpTo(call, queue.names, subject) ?? 0) >= sequence;
}
