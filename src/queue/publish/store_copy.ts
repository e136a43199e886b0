import type { JetStreamStoreError } from "../../errors.ts";
import { ErrorCode, isServerError } from "../../wire/api.ts";
import type { Call } from "../../wire/call.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { publish } from "../../wire/publish.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { deleteMessage } from "../../wire/streams.ts";
import { guardHeaders } from "../format/guard_headers.ts";
import { type HeaderList, type JobHeaders, scheduleHeaders } from "../format/job_headers.ts";
import { checkSize, jobBytes } from "../format/job_size.ts";
import { tokenOf } from "../format/queue_names.ts";
import type { QueueStore } from "../store/queue_context.ts";

/** Milliseconds after which an undecided copy fires whose call died: more than a call takes. */
const UNDECIDED_MS = 60_000;

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
  /** Whether it runs once more after a job that is active; otherwise that stays as it is. */
  readonly behindActive: boolean;
  /**
   * Makes the copy of a message.
   *
   * @param due When the job was to run; `undefined`: it was waiting.
   */
  copy(present: StoredMessage, headers: JobHeaders, due: number | undefined): JobCopy;
  /** Sequence of the undecided copy in whose favour the call has decided. */
  decided: number;
}

/** Where a copy is stored: if the newest message of its id has this sequence. */
export interface Place {
  /** The subject of the job while it is delayed. It names the priority of what is replaced. */
  later: string;
  sequence: number;
}

/** A copy that is stored in place of a waiting message, as long as it is not known whether that was delivered before. */
export interface Undecided extends Place {
  /** The waiting message. */
  replaced: number;
  /** What the job runs after. */
  after: readonly number[];
  copy: JobCopy;
}

/** Stores a copy for good, in place of the delayed message that is there. */
export async function storeCopy(
  call: Call,
  queue: QueueStore,
  { later, sequence }: Place,
  replacement: Replacement,
  copy: JobCopy,
  after: readonly number[],
): Promise<{ sequence: number } | null> {
  const { nonce } = replacement;
  const { ready, due } = copy;
  const headers: HeaderList = [["Nats-Msg-Id", nonce], ["Job-Nonce", nonce]];
  if (after.length > 0) headers.push(["Job-After", after.join(",")]);
  const waits = due === undefined || due <= call.session.now();
  if (waits) headers.push(["Nats-Scheduler", later], ["Nats-Schedule-Next", "purge"]);
  else headers.push(...scheduleHeaders(ready, due), ["Nats-Rollup", "sub"]);
  const message = { ...copy, subject: waits ? ready : later, headers: [...copy.headers, ...headers] };
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
    call.session.send(queue.names.changing, tokenOf(undecided.later));
    const stored = await storeUndecided(call, queue, undecided, replacement);
    // The server sends a refusal before it answers what was sent behind it.
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

/** Removes one message of a job. */
export function removeMessage(call: Call, queue: QueueStore, sequence: number): Promise<boolean> {
  return deleteMessage(call, queue.names.stream, sequence);
}
