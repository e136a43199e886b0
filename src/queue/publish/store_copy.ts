import type { JetStreamStoreError } from "../../errors.ts";
import { ErrorCode, isServerError } from "../../wire/api.ts";
import type { Call } from "../../wire/call.ts";
import type { Context } from "../../wire/context.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { publish } from "../../wire/publish.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { guardHeaders } from "../format/guard_headers.ts";
import { type HeaderList, type JobHeaders, scheduleHeaders } from "../format/job_headers.ts";
import { checkSize, jobBytes } from "../format/job_size.ts";
import { isReplacement, tokenOf } from "../format/queue_names.ts";
import { findJobMessage, isUndecided } from "../store/find_job.ts";
import { MAX_CHANGE_MS, removeMessage } from "../store/job_turn.ts";
import type { QueueStore } from "../store/queue_context.ts";
import { laterSubject } from "./replaceable_message.ts";

/** Milliseconds after which the copy of a waiting message fires whose call died: more than a call takes. */
const REPLACEMENT_MS = 60_000;

/** What is stored in place of a message. */
export interface JobCopy {
  /** The subject under which workers get it. */
  ready: string;
  payload: Uint8Array | string;
  /** All but the server's, and those of the replacement. */
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
  /** Whether it may have an undecided copy in the queue, for which others wait. */
  isAnnounced: boolean;
  /** Whether it runs once more after a job that is active; otherwise that stays as it is. */
  readonly behindActive: boolean;
  /**
   * Makes the copy of a message.
   *
   * @param due When the job was to run; `undefined`: it was waiting.
   */
  copy(present: StoredMessage, headers: JobHeaders, due: number | undefined): JobCopy;
}

/** What a copy takes the place of, if the newest message of its id has this sequence. */
export interface Place {
  /** The subject of the delayed message, or of the earlier copy, that is removed in the same step. */
  from: string;
  sequence: number;
}

/** A copy that is stored in place of a waiting message, as long as it is not known whether that was delivered before. */
export interface Undecided extends Place {
  /** Subject and sequence of the waiting message. */
  waiting: string;
  replaced: number;
  /** What the job runs after. */
  after: readonly number[];
  copy: JobCopy;
}

/**
 * Stores a copy for good, in place of the delayed message or the earlier copy that is there.
 *
 * @param displaces The waiting message that was deleted for it.
 */
export async function storeCopy(
  call: Call,
  queue: QueueStore,
  { from, sequence }: Place,
  replacement: Replacement,
  copy: JobCopy,
  after: readonly number[],
  displaces?: number,
): Promise<{ sequence: number } | null> {
  const { nonce } = replacement;
  const { ready, due } = copy;
  const headers: HeaderList = [["Nats-Msg-Id", nonce], ["Job-Nonce", nonce], ...afterHeader(after)];
  if (displaces !== undefined) headers.push(["Job-Displaces", String(displaces)]);
  const waits = due === undefined || due <= call.session.now();
  if (!waits) headers.push(...scheduleHeaders(ready, due));
  // A delayed job keeps its subject when its priority changes.
  const later = isReplacement(from) ? laterSubject(queue, ready) : from;
  const subject = waits ? ready : later;
  if (subject === from) headers.push(["Nats-Rollup", "sub"]);
  else headers.push(["Nats-Scheduler", from], ["Nats-Schedule-Next", "purge"]);
  const message = { ...copy, subject, headers: [...copy.headers, ...headers] };
  const stored = await store(call, queue, message, sequence, replacement);
  return stored === null ? null : { sequence: stored };
}

/**
 * Announces the change to the workers, and stores the undecided copy; `null` if the job has changed meanwhile.
 *
 * @throws {JetStreamStoreError} `permission`, if the announcement is refused: workers would start what is being replaced.
 */
export async function storeAnnounced(
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
    announce(call, queue, undecided);
    replacement.isAnnounced = true;
    const stored = await storeUndecided(call, queue, undecided, replacement);
    // The server sends a refusal before it answers what was sent behind it.
    if (!refusal) return stored;
    if (stored !== null) await removeMessage(call, queue.names, stored);
    throw refusal;
  } finally {
    stopFollowing();
  }
}

/** Tells the workers that a waiting message may be being replaced. */
export function announce({ session }: Call, { names }: QueueStore, { waiting }: Undecided): void {
  session.send(names.changing, tokenOf(waiting));
}

/** Stores a copy that a call has to decide about; if the call dies it fires late, and a worker drops it. */
async function storeUndecided(
  call: Call,
  queue: QueueStore,
  undecided: Undecided,
  replacement: Replacement,
): Promise<number | null> {
  const message = replacementMessage(call, queue, undecided, replacement, "Job-Replacing");
  return await store(call.separate(), queue, message, undecided.sequence, replacement);
}

/** Stores a copy once more, as one that takes the place of the waiting message; if the call dies it fires late, and runs. */
export async function storeDecided(
  call: Call,
  queue: QueueStore,
  undecided: Undecided,
  replacement: Replacement,
): Promise<number | null> {
  const message = replacementMessage(call, queue, undecided, replacement, "Job-Displaces");
  message.headers.push(["Nats-Rollup", "sub"]);
  return await store(call, queue, message, undecided.sequence, replacement);
}

function replacementMessage(
  { session }: Call,
  { names }: QueueStore,
  { waiting, replaced, copy, after }: Undecided,
  { nonce }: Replacement,
  role: "Job-Replacing" | "Job-Displaces",
): { subject: string; payload: Uint8Array | string; headers: HeaderList } {
  const now = session.now();
  const schedule = scheduleHeaders(copy.ready, Math.max(copy.due ?? 0, now + REPLACEMENT_MS));
  const headers: HeaderList = [
    ...copy.headers,
    ["Job-Nonce", nonce],
    [role, String(replaced)],
    ...schedule.filter(([name]) => name !== "Job-Due"),
    // It counts as late when it fires: a server that was killed may have it back.
    ["Job-Due", new Date(now).toISOString()],
    ...afterHeader(after),
  ];
  return { subject: names.replacement(tokenOf(waiting)), payload: copy.payload, headers };
}

function afterHeader(after: readonly number[]): HeaderList {
  return after.length > 0 ? [["Job-After", after.join(",")]] : [];
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

/** Ends a call that replaces a job, and has no answer: removes its undecided copy, in the background and over reconnects, as long as others wait for it. */
export function withdraw(context: Context, queue: QueueStore, token: string, replacement: Replacement): void {
  const { nonce, isAnnounced } = replacement;
  if (!isAnnounced) return;
  const remove = async (call: Call) => {
    const newest = await findJobMessage(call, queue.names, token);
    if (!newest || !isUndecided(newest) || newest.header("Job-Nonce") !== nonce) return;
    await removeMessage(call, queue.names, newest.sequence);
  };
  // If that fails, the copy is removed when it is old.
  context.connection.attempt(remove, { timeout: MAX_CHANGE_MS, persist: true, patient: true, background: true }).catch(
    () => {},
  );
}
