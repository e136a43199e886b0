import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";
import { isNoResponders } from "../../connection/unavailable.ts";
import { leaderGet } from "../../wire/leader_get.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { publish } from "../../wire/publish.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { deleteMessage, mayBeRemoved, unknownRemoval } from "../../wire/streams.ts";
import type { JobMessage } from "../format/job_message.ts";
import { fitHeaders } from "../format/job_size.ts";
import { parseJobData } from "../format/job_data.ts";
import { lastingHeaders, parseJobHeaders } from "../format/job_headers.ts";
import { idOf, tokenOf } from "../format/queue_names.ts";
import { MAX_REASON, MAX_STACK } from "../format/thrown.ts";

/**
 * A job that will not be tried again, with the reason.
 *
 * @category Jobs
 */
export interface DeadLetter<T = unknown> {
  /** The job's id. */
  id: string;
  /** What was published; `undefined` if it is no JSON. */
  data: T | undefined;
  /** The last error's message. */
  reason: string;
  /** The last error's stack, if it had one. */
  stack?: string;
  /** Attempts that were made. */
  attempts: number;
  /** When the job was first published. */
  enqueuedAt: Date;
  /** When it was given up. */
  diedAt: Date;
  /** The headers that its publisher gave. */
  headers: Record<string, string>;
  /** Its place among the dead letters: rises from one to the next. */
  sequence: number;
}

/** Stores a job among the dead letters, as the newest one of its id: its data whole, and of its reason and stack as much as fits. */
export async function storeDeadLetter(
  call: Call,
  { names, stream }: { names: QueueNames; stream: QueueStream },
  job: JobMessage,
  { reason, stack, attempts }: { reason: string; stack: string | undefined; attempts: number },
): Promise<void> {
  const headers = fitHeaders(
    call.session.maxPayload - job.data.length,
    [
      ["Job-Attempts", String(attempts)],
      ["Job-Died-At", new Date(call.session.now()).toISOString()],
      ["Job-Priority", job.priority],
      ...lastingHeaders(job.headers, job.enqueuedAt),
    ],
    [
      ["Job-Reason", reason],
      ...(stack === undefined ? [] : [["Job-Stack", stack] as [string, string]]),
    ],
  );
  const block = headers.length > 0 ? new HeaderBlock(headers) : undefined;
  await stream.openDeadLetters(call);
  try {
    // Stored twice it is still one: its stream keeps the newest of each id.
    await publish(call, names.dead(job.token), job.data, block, true);
  } catch (error) {
    if (isNoResponders(error)) {
      stream.forget();
      await stream.openDeadLetters(call);
    }
    throw error;
  }
}

/** The dead letter of a job's id, as its stream keeps it, or `null`. */
export function findDeadLetter(
  call: Call,
  names: QueueNames,
  token: string,
): Promise<StoredMessage | null> {
  return leaderGet(call, names.deadStream, { last_by_subj: names.dead(token) });
}

/** Removes the dead letter of a job's id; `false` if there was none. */
export async function discardDeadLetter(call: Call, names: QueueNames, token: string): Promise<boolean> {
  const letter = await findDeadLetter(call, names, token);
  if (letter && await deleteMessage(call, names.deadStream, letter.sequence)) return true;
  if (mayBeRemoved(call, "message", names.deadStream)) throw unknownRemoval();
  return false;
}

/** Reads a dead letter. What is malformed counts as absent, and what is too long is cut: anybody may have written it. */
export function readDeadLetter<T>(message: StoredMessage): DeadLetter<T> {
  const all = message.headers();
  const header = (name: string) => all.find(([key]) => key === name)?.[1];
  const { own, enqueuedAt } = parseJobHeaders(all);
  const stack = parseLine(header("Job-Stack"));
  const diedAt = new Date(header("Job-Died-At") ?? NaN);
  return {
    id: idOf(tokenOf(message.subject)),
    data: parseJobData<T>(message.data),
    reason: parseLine(header("Job-Reason"))?.slice(0, MAX_REASON) ?? "",
    ...(stack !== undefined && { stack: stack.slice(0, MAX_STACK) }),
    attempts: Number(/^\d{1,15}$/.exec(header("Job-Attempts") ?? "")?.[0] ?? 0),
    enqueuedAt: enqueuedAt ?? message.time,
    diedAt: Number.isNaN(diedAt.getTime()) ? message.time : diedAt,
    headers: Object.fromEntries(own),
    sequence: message.sequence,
  };
}

function parseLine(json: string | undefined): string | undefined {
  if (json === undefined) return undefined;
  try {
    return String(JSON.parse(json));
  } catch {
    return json;
  }
}
