import type { QueueStore } from "../store/queue_context.ts";
import type { Call } from "../../wire/call.ts";
import { delay } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { JetStreamStoreError } from "../../errors.ts";
import { ErrorCode, isServerError } from "../../wire/api.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { mayBeStored, publish } from "../../wire/publish.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { type HeaderList, type JobHeaders, MAX_AFTER, parseJobHeaders } from "../format/job_headers.ts";
import { checkSize, jobBytes } from "../format/job_size.ts";
import { idOf, priorityOf, tokenOf } from "../format/queue_names.ts";
import { deliveredUpTo, findJobMessage, isMessageOf, isUndecided } from "../store/find_job.ts";
import { guardHeaders } from "../format/guard_headers.ts";

/** The version of nats-server that stores a message and removes the schedule it replaces in one step. */
export const REPLACE_VERSION = "2.14";

/** Milliseconds between two looks at a job that another call changes, or whose schedule fires. */
const LOOK_AGAIN_MS = 50;

/** Milliseconds after which an undecided copy fires whose call died: more than a call takes. */
const UNDECIDED_MS = 60_000;

/** Milliseconds until a job that runs after an active one is first delivered. */
const BEHIND_ACTIVE_MS = 250;

/**
 * Milliseconds around the moment of a schedule in which the server may be firing it: it takes those that are due in batches, and stores what they make
 * one by one, whatever has become of them meanwhile. The clocks of replicas differ.
 */
const FIRING_MS = { before: 250, beforeWithReplicas: 1_000, after: 10_000 };

/** What is stored in place of a message. */
export interface JobCopy {
  /** The subject under which workers get it. */
  ready: string;
  payload: Uint8Array | string;
  /** All but the server's, and those that tell of the replacement. */
  headers: HeaderList;
  /** When it is to run, by the server's clock, in milliseconds; absent: now. */
  due?: number;
}

/** How a job is replaced, over all attempts of one call. */
export interface Replacement {
  /** Completes "Cannot …" where the copy is too large. */
  readonly doing: string;
  /** Message id and `Job-Nonce` of the copy. */
  readonly nonce: string;
  /** Whether it runs once more after a job that is active; otherwise that stays as it is. */
  readonly behindActive: boolean;
  /**
   * Makes the copy of a message.
   *
   * @param due When the job was to run; `undefined`: it was waiting.
   */
  copy(present: StoredMessage, headers: JobHeaders, due: number | undefined): JobCopy;
  /** Whether the reply to a copy was lost. */
  unconfirmed: boolean;
  /** Sequence of the undecided copy in whose favour the call has decided. */
  decided: number;
}

/** How it ended: the sequence of the copy; or there is no job, or it is active. */
export type ReplaceResult = { sequence: number } | "absent" | "active";

/** Where a copy is stored: if the newest message of its id has this sequence. */
interface Place {
  /** The subject of the job while it is delayed. It names the priority of what is replaced. */
  later: string;
  sequence: number;
}

/** A copy that is stored in place of a waiting message, as long as it is not known whether that was delivered before. */
interface Undecided extends Place {
  /** The waiting message. */
  replaced: number;
  /** What the job runs after. */
  after: readonly number[];
  copy: JobCopy;
}

/**
 * Replaces the message of a job, wherever it is, by a copy that is stored under the guard of the first.
 *
 * A delayed message is replaced in one step on the server, unless its schedule may be firing, which is waited for. A waiting one may be delivered at any moment, and a server cannot replace it on condition
 * that it was not. So the call announces the change to the workers, stores the copy as one that is undecided, and then asks how far the server has
 * delivered. If the waiting message was delivered, the copy is withdrawn. If it was not, whoever gets it from now on has heard the announcement, finds
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

/** Whether the server may be storing what the schedule of a delayed message makes, so that a copy would be a second one. */
export async function mayBeFiring(call: Call, { stream }: QueueStore, message: StoredMessage): Promise<boolean> {
  const { replicas } = await stream.existing(call);
  const left = dueOf(message) - call.session.now();
  const { before, beforeWithReplicas, after } = FIRING_MS;
  return left < (replicas > 1 ? beforeWithReplicas : before) && left > -after;
}

/** Waits a moment, as another call or a schedule is at work on the job. */
export async function waitToLookAgain(call: Call): Promise<void> {
  await delay(LOOK_AGAIN_MS, { signal: call.session.signal });
  if (performance.now() >= call.deadline) {
    throw new Unavailable("timeout", "Another call or a schedule changes the job");
  }
}

/** When a delayed message is due, in milliseconds; `NaN` of any other. */
export function dueOf(message: StoredMessage): number {
  return Date.parse(/^@at (.+)$/.exec(message.header("Nats-Schedule") ?? "")?.[1] ?? "");
}

/** The headers of a message that a copy of it keeps: all but the server's, and those that {@linkcode replaceJob} sets. */
export function keptHeaders(present: StoredMessage, headers: JobHeaders): HeaderList {
  const kept = headers.all.filter(([name]) => !SET_ANEW.test(name));
  if (headers.enqueuedAt === undefined) kept.push(["Job-Enqueued-At", present.time.toISOString()]);
  return kept;
}

const SET_ANEW = /^(nats-.*|job-nonce|job-replacing|job-after)$/i;

/** The subject under which workers get the job of a message, whether it waits or is delayed. */
export function readySubject({ names }: QueueStore, present: StoredMessage): string {
  const { subject } = present;
  if (kindOf(subject) !== "later") return subject;
  const target = present.header("Nats-Schedule-Target");
  return target ?? names.ready(priorityOf(subject.split(".")[3]), tokenOf(subject));
}

/** `ready`, `later` or `keyed`. */
export function kindOf(subject: string): string {
  return subject.split(".")[2];
}

/** The subject of a delayed job that workers get under a subject. */
function laterSubject({ names }: QueueStore, ready: string): string {
  return names.later(priorityOf(ready.split(".")[3]), tokenOf(ready));
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
  const copy = replacement.copy(present, headers, kindOf(subject) === "later" ? dueOf(present) : undefined);
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
  const copy = replacement.copy(present, headers, undefined);
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

function removeMessage(call: Call, queue: QueueStore, sequence: number): Promise<boolean> {
  return deleteMessage(call, queue.names.stream, sequence);
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

/** Stores a copy for good, in place of the delayed message that is there. */
async function storeCopy(
  call: Call,
  queue: QueueStore,
  { later, sequence }: Place,
  replacement: Replacement,
  copy: JobCopy,
  after: readonly number[],
): Promise<ReplaceResult | null> {
  const { nonce } = replacement;
  const { ready, due } = copy;
  const headers: HeaderList = [["Nats-Msg-Id", nonce], ["Job-Nonce", nonce]];
  if (after.length > 0) headers.push(["Job-After", after.join(",")]);
  const waits = due === undefined || due <= call.session.now();
  if (waits) headers.push(["Nats-Scheduler", later], ["Nats-Schedule-Next", "purge"]);
  else headers.push(...scheduleHeaders(ready, due), ["Nats-Rollup", "sub"]);
  const message = { ...copy, subject: waits ? ready : later, headers: [...copy.headers, ...headers] };
  try {
    const stored = await store(call, queue, message, sequence, replacement);
    // Refused at a repeat: the first sending may have been stored, and its job may be over.
    if (stored === null && mayBeStored(call, message.subject)) replacement.unconfirmed = true;
    return stored === null ? null : { sequence: stored };
  } catch (error) {
    if (error instanceof Unavailable) replacement.unconfirmed = true;
    throw error;
  }
}

/**
 * Announces the change to the workers, and stores the undecided copy; `null` if the job has changed meanwhile.
 *
 * @throws {JetStreamStoreError} `permission`, if the workers cannot be told: they would start what is being replaced.
 */
async function storeAnnounced(
  call: Call,
  queue: QueueStore,
  undecided: Undecided,
  replacement: Replacement,
): Promise<number | null> {
  let refusal: JetStreamStoreError | undefined;
  const stopFollowing = call.session.onDenied((subject, error) => {
    if (subject === queue.names.changing) refusal = error;
  });
  try {
    call.session.send(queue.names.changing, tokenOf(undecided.later));
    const stored = await storeUndecided(call, queue, undecided, replacement);
    // The server tells a refusal before it answers what was sent behind it.
    if (!refusal) return stored;
    if (stored !== null) await removeMessage(call, queue, stored);
    throw refusal;
  } finally {
    stopFollowing();
  }
}

/** Stores a copy that a call has to decide about; if the call dies it fires late, and a worker decides. */
async function storeUndecided(
  call: Call,
  queue: QueueStore,
  { later, sequence, replaced, copy, after }: Undecided,
  replacement: Replacement,
): Promise<number | null> {
  const headers: HeaderList = [
    ...copy.headers,
    ["Job-Nonce", replacement.nonce],
    ["Job-Replacing", String(replaced)],
    ...scheduleHeaders(copy.ready, call.session.now() + UNDECIDED_MS),
  ];
  if (after.length > 0) headers.push(["Job-After", after.join(",")]);
  return await store(call.separate(), queue, { ...copy, subject: later, headers }, sequence, replacement);
}

function scheduleHeaders(target: string, due: number): HeaderList {
  return [["Nats-Schedule", `@at ${new Date(due).toISOString()}`], ["Nats-Schedule-Target", target]];
}

/** Stores a message if the newest one of its id has this sequence; `null` if it has not. */
async function store(
  call: Call,
  queue: QueueStore,
  message: { subject: string; payload: Uint8Array | string; headers: HeaderList },
  sequence: number,
  { doing }: Replacement,
): Promise<number | null> {
  const { subject, payload, headers } = message;
  checkSize(message, call.session.maxPayload, doing);
  const block = new HeaderBlock(headers, guardHeaders(queue.names, tokenOf(subject), sequence));
  try {
    const send = () => publish(call, subject, payload, block, true);
    return (await queue.stream.publishWithin(call, jobBytes(message), 1, send)).seq;
  } catch (error) {
    if (isServerError(error, ErrorCode.wrongLastSequence, ErrorCode.wrongLastSequenceUnknown)) return null;
    throw error;
  }
}
