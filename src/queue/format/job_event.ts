import { readJobData } from "./job_data.ts";

/**
 * What every event of a job contains.
 *
 * @category Jobs
 */
export interface JobEventBase {
  /** The job's id. */
  id: string;
  /** When, by the clock of the process that reports it. */
  at: Date;
}

/**
 * Something that happened to a job, distinguished by `type`. `started`, `progress` and `completed` are sent while there is a listener; the others always.
 *
 * @example What each type contains
 * ```ts
 * import type { JobEvent } from "@supercheck/jetstream";
 *
 * function describe(event: JobEvent): string {
 *   switch (event.type) {
 *     case "progress":
 *       return `${event.id}: ${JSON.stringify(event.value)}`;
 *     case "failed":
 *       return `${event.id}: attempt ${event.attempt} failed: ${event.reason}`;
 *     default:
 *       return `${event.id}: ${event.type}`;
 *   }
 * }
 * const event: JobEvent = { type: "expired", id: "a", at: new Date() };
 * console.log(describe(event)); // a: expired
 * ```
 *
 * @category Jobs
 */
export type JobEvent =
  & JobEventBase
  & (
    | {
      /** A handler was called. */
      type: "started";
      /** Number of the attempt, from 1. */
      attempt: number;
    }
    | {
      /** A handler reported its progress. */
      type: "progress";
      /** Number of the attempt, from 1. */
      attempt: number;
      /** What it reported. */
      value: unknown;
    }
    | {
      /** The handler returned. */
      type: "completed";
      /** Why its result could not be kept, if it could not. */
      reason?: string;
    }
    | {
      /** An attempt failed. */
      type: "failed";
      /** Number of the attempt, from 1. */
      attempt: number;
      /** The error's message. */
      reason: string;
    }
    | {
      /** The job will run again. */
      type: "retried";
      /** The error's message. */
      reason: string;
    }
    | {
      /** The job became a dead letter. */
      type: "dead";
      /** Why. */
      reason: string;
    }
    | {
      /** `cancelled`: by a `cancel`. `expired`: it had not started when its `ttl` was over. */
      type: "cancelled" | "expired";
    }
  );

/** What an event contains beside its type, id and time. */
export interface EventDetails {
  attempt?: number;
  value?: unknown;
  reason?: string;
}

/** The types of events, in the order of a job's life. */
export const EVENT_TYPES: readonly JobEvent["type"][] = [
  "started",
  "progress",
  "completed",
  "failed",
  "retried",
  "dead",
  "cancelled",
  "expired",
];

/** Characters of a reason in an event. */
export const MAX_EVENT_REASON = 2_000;

/**
 * Reads an event from its message. Type and id come from the subject, for which the server checks permissions.
 *
 * @throws {TypeError | SyntaxError} If it is malformed.
 */
export function readJobEvent(typeToken: string | undefined, id: string, body: Uint8Array): JobEvent {
  const type = EVENT_TYPES.find((type) => type === typeToken);
  const fields: unknown = readJobData(body);
  if (type === undefined || typeof fields !== "object" || fields === null) throw new TypeError("No event");
  const { at, attempt, value, reason } = fields as Record<string, unknown>;
  const time = new Date(typeof at === "string" ? at : NaN);
  if (Number.isNaN(time.getTime())) throw new TypeError("No time of an event");
  const base = { id, at: time };
  switch (type) {
    case "started":
      return { type, ...base, attempt: attemptOf(attempt) };
    case "progress":
      if (value === undefined) throw new TypeError("No value of a progress");
      return { type, ...base, attempt: attemptOf(attempt), value };
    case "failed":
      return { type, ...base, attempt: attemptOf(attempt), reason: reasonOf(reason) };
    case "retried":
    case "dead":
      return { type, ...base, reason: reasonOf(reason) };
    case "completed":
      return { type, ...base, ...(reason !== undefined && { reason: reasonOf(reason) }) };
    default:
      return { type, ...base };
  }
}

function attemptOf(attempt: unknown): number {
  if (!Number.isSafeInteger(attempt) || attempt as number < 1) throw new TypeError("No number of an attempt");
  return attempt as number;
}

function reasonOf(reason: unknown): string {
  if (typeof reason !== "string") throw new TypeError("No reason");
  return reason.slice(0, MAX_EVENT_REASON);
}
