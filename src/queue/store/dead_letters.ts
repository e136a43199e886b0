import { Unavailable } from "../../connection/unavailable.ts";
import { leaderGet } from "../../wire/leader_get.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { publish } from "../../wire/publish.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { deleteMessage } from "../../wire/streams.ts";
import type { JobMessage } from "../format/job_message.ts";
import { fitHeaders } from "../format/job_size.ts";
import { parseJobData } from "../format/job_data.ts";
import { lastingHeaders, parseJobHeaders } from "../format/job_headers.ts";
import type { QueueCall } from "./queue_call.ts";
import { idOf, tokenOf } from "../format/queue_names.ts";
import { MAX_REASON, MAX_STACK } from "../format/thrown.ts";

/** A job that will not be tried again, with the reason. */
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

/** Stores a job among the dead letters, as the newest one of its id: its data whole, and of what is told about it as much as fits. */
export async function storeDeadLetter(
  { session, deadline, names, stream }: QueueCall,
  job: JobMessage,
  { reason, stack, attempts }: { reason: string; stack: string | undefined; attempts: number },
): Promise<void> {
  const headers = fitHeaders(
    session.maxPayload - job.data.length,
    [
      ["Job-Attempts", String(attempts)],
      ["Job-Died-At", new Date(session.now()).toISOString()],
      ["Job-Priority", job.priority],
      ...lastingHeaders(job.headers, job.enqueuedAt),
    ],
    [
      ["Job-Reason", reason],
      ...(stack === undefined ? [] : [["Job-Stack", stack] as [string, string]]),
    ],
  );
  const block = headers.length > 0 ? new HeaderBlock(headers) : undefined;
  await stream.openDeadLetters(session, deadline);
  try {
    // Stored twice it is still one: its stream keeps the newest of each id.
    await publish(session, names.dead(job.token), job.data, deadline, block, true);
  } catch (error) {
    if (error instanceof Unavailable && error.reason === "no_responders") {
      stream.forget();
      await stream.openDeadLetters(session, deadline);
    }
    throw error;
  }
}

/** The dead letter of a job's id, as its stream keeps it, or `null`. */
export function findDeadLetter(
  { session, deadline, names }: QueueCall,
  token: string,
): Promise<StoredMessage | null> {
  return leaderGet(session, names.deadStream, { last_by_subj: names.dead(token) }, deadline);
}

/** Removes the dead letter of a job's id; `false` if there was none. */
export async function discardDeadLetter(call: QueueCall, token: string): Promise<boolean> {
  const letter = await findDeadLetter(call, token);
  return letter !== null && await deleteMessage(call.session, call.names.deadStream, letter.sequence, call.deadline);
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
