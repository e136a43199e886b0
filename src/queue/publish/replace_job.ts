import { JetStreamStoreError } from "../../errors.ts";
import type { Call } from "../../wire/call.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { type JobHeaders, MAX_AFTER, parseJobHeaders, supersedesHeader } from "../format/job_headers.ts";
import { idOf, isReplacement, kindOf, tokenOf } from "../format/queue_names.ts";
import { deliveredUpTo, findJobMessage, isMessageOf } from "../store/find_job.ts";
import { isAbandoned, removeMessage, takesPlace } from "../store/job_turn.ts";
import type { QueueStore } from "../store/queue_context.ts";
import { dueOf, laterSubject, mayBeFiring, REPLACE_VERSION, waitToLookAgain } from "./replaceable_message.ts";
import {
  announce,
  type JobCopy,
  type Replacement,
  storeAnnounced,
  storeCopy,
  storeDecided,
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
 * any moment, and a server cannot replace it on condition that it was not. So the call stores the copy as one that is undecided where workers list
 * such copies, announces the change to those that listen already, and then asks how far the server has delivered. If the waiting message was
 * delivered, the copy is withdrawn. If it was not, a worker that gets it from now on knows of the change, finds the copy, and does not start the
 * message. Then the call decides: it stores the copy once more, as one that is decided, under the guard of the undecided one, which a worker removes
 * if the call takes too long. Only then the message is deleted, and the copy stored where it belongs.
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
    const result = isReplacement(present.subject)
      ? await goOn(call, queue, present, headers, replacement, isOwn)
      : isOwn
      ? { sequence: present.sequence }
      : await replaceMessage(call, queue, present, headers, replacement);
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
    return await storeCopy(call, queue, { from: subject, sequence }, replacement, copy, after);
  }
  const undecided = { from: laterSubject(queue, subject), sequence, waiting: subject, replaced: sequence, after, copy };
  if (await isDelivered(call, queue, undecided)) return await endBehindActive(call, queue, undecided, replacement);
  const stored = await storeAnnounced(call, queue, undecided, replacement);
  if (stored === null) return null;
  const from = queue.names.replacement(tokenOf(subject));
  return await decide(call, queue, { ...undecided, from, sequence: stored }, replacement);
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

/**
 * Goes on where a change of a waiting message is under way: with that of an earlier attempt of this call, or in place of a call that died. The change
 * of another call is waited for.
 */
async function goOn(
  call: Call,
  queue: QueueStore,
  present: StoredMessage,
  headers: JobHeaders,
  replacement: Replacement,
  isOwn: boolean,
): Promise<ReplaceResult | null> {
  if (!isOwn && !isAbandoned(call, present)) return null;
  if (!await takesPlace(call, queue.names, present, headers)) return null;
  if (!isOwn) return await replaceMessage(call, queue, present, headers, replacement);
  const { after = [], displaces } = headers;
  const copy = copyOf(replacement, present, headers, undefined);
  const place = { from: present.subject, sequence: present.sequence };
  return await storeCopy(call, queue, place, replacement, copy, after, displaces);
}

/** Decides about an undecided copy, by whether the waiting message was delivered before the copy was there. */
async function decide(
  call: Call,
  queue: QueueStore,
  undecided: Undecided,
  replacement: Replacement,
): Promise<ReplaceResult | null> {
  const { from, replaced, copy, after } = undecided;
  announce(call, queue, undecided);
  if (await isDelivered(call, queue, undecided)) return await endBehindActive(call, queue, undecided, replacement);
  const sequence = await storeDecided(call, queue, undecided, replacement);
  if (sequence === null) return null;
  await removeMessage(call, queue.names, replaced);
  return await storeCopy(call, queue, { from, sequence }, replacement, copy, after, replaced);
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
    if (sequence !== replaced) await removeMessage(call, queue.names, sequence);
    return "active";
  }
  const stored = await Promise.all(
    after.map((sequence) => isMessageOf(call, queue.names, sequence, tokenOf(copy.ready))),
  );
  const runsAfter = [...after.filter((_, i) => stored[i]), replaced].slice(-MAX_AFTER);
  const due = Math.max(copy.due ?? 0, call.session.now() + BEHIND_ACTIVE_MS);
  return await storeCopy(call, queue, undecided, replacement, { ...copy, due }, runsAfter);
}

async function isDelivered(call: Call, queue: QueueStore, { waiting, replaced }: Undecided): Promise<boolean> {
  return (await deliveredUpTo(call, queue.names, waiting) ?? 0) >= replaced;
}
