import { Buffer } from "node:buffer";
import { shownMessage } from "../../shown.ts";
import { isCount, readJobData } from "./job_data.ts";
import { PRIORITIES, type Priority } from "./queue_names.ts";

/**
 * A worker of a queue: one `consume()` in one process, as it describes itself.
 *
 * @example How busy the workers are
 * ```ts
 * import { close, jobQueue } from "@supercheck/jetstream";
 *
 * const workers = await jobQueue("mails").workers();
 * for (const { address, pid, active, concurrency } of workers ?? []) {
 *   console.log(`${address} ${pid}: ${active} of ${concurrency}`);
 * }
 * await close();
 * ```
 *
 * @category Jobs
 */
export interface WorkerInfo {
  /** Its id, another one for each `consume()`. */
  id: string;
  /** Name of its connection (the option `name`), or `null`. */
  name: string | null;
  /** Address of its connection, as its server sees it, or `null`. */
  address: string | null;
  /** Number of its process. */
  pid: number;
  /** When it began, by its clock. */
  since: Date;
  /** Its state: `state` of its {@linkcode JobConsumerStatus}. */
  state: WorkerState;
  /** Why it is impaired, or `null`. */
  reason: string | null;
  /** Jobs that it runs at the same time, at most. */
  concurrency: number;
  /** Jobs that run. */
  active: number;
  /** Jobs that it has fetched and not started. */
  prefetched: number;
  /** The priorities that it serves. */
  priorities: Priority[];
  /** Whether it serves jobs that have a key. */
  keyed: boolean;
  /** Runs that ended well. */
  completed: number;
  /** Runs that ended in a retry or a dead letter. */
  failed: number;
}

/**
 * The state of a worker.
 *
 * @category Jobs
 */
export type WorkerState = "connecting" | "serving" | "impaired" | "paused" | "stopping" | "stopped";

const STATES: readonly WorkerState[] = ["connecting", "serving", "impaired", "paused", "stopping", "stopped"];

/** Bytes of a description, at most: it is one of thousands, and anybody may have sent it. */
const MAX_BYTES = 2_048;

/** Characters of a reason and of a name. */
const MAX_TEXT_CHARACTERS = 200;

/** A worker's description of itself as it is sent. */
export function workerText(worker: WorkerInfo): string {
  const short = (text: string | null) => text === null ? null : shownMessage(text).slice(0, MAX_TEXT_CHARACTERS);
  return JSON.stringify({ ...worker, name: short(worker.name), reason: short(worker.reason) });
}

/**
 * Reads the description of a worker, which anybody may have sent.
 *
 * @throws {TypeError | SyntaxError} If it is malformed or too long.
 */
export function readWorker(body: Uint8Array): WorkerInfo {
  if (body.length > MAX_BYTES) throw new TypeError("Too long");
  const fields = readJobData(body);
  if (typeof fields !== "object" || fields === null) throw new TypeError("No worker");
  const { id, name, address, pid, since, state, reason, priorities, keyed, ...counts } = fields as Record<
    string,
    unknown
  >;
  const { concurrency, active, prefetched, completed, failed } = counts;
  const time = new Date(typeof since === "string" ? since : NaN);
  if (
    typeof id !== "string" || !isTextOrNull(name) || !isTextOrNull(address) || !isTextOrNull(reason) ||
    !STATES.includes(state as WorkerState) || Number.isNaN(time.getTime()) || !Array.isArray(priorities) ||
    ![pid, concurrency, active, prefetched, completed, failed].every(isCount)
  ) throw new TypeError("No worker");
  return {
    id,
    name,
    address,
    pid: pid as number,
    since: time,
    state: state as WorkerState,
    reason,
    concurrency: concurrency as number,
    active: active as number,
    prefetched: prefetched as number,
    priorities: PRIORITIES.filter((priority) => priorities.includes(priority)),
    keyed: keyed === true,
    completed: completed as number,
    failed: failed as number,
  };
}

/** Ids of questions: what is put into a subject must be one token. */
const ASK = /^[A-Za-z0-9]{8,64}$/;

/**
 * Reads the id of a question for the workers, which becomes part of the subject of the answers.
 *
 * @throws {TypeError | SyntaxError} If it is malformed.
 */
export function readAsk(body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, 65)).toString("latin1");
  if (!ASK.test(text)) throw new TypeError("No question");
  return text;
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || (typeof value === "string" && value.length <= MAX_BYTES);
}
