import { isReserved } from "../../wire/header_names.ts";
import type { Msg } from "@nats-io/nats-core";
import { createHash } from "node:crypto";
import { MAX_TIMER } from "../../checks.ts";
import { hasOnlyServerHeaders } from "../../connection/nats/raw_headers.ts";
import { headerPairs } from "../../wire/stored_message.ts";
import { type Backoff, checkBackoff } from "./retry_backoff.ts";

/** The headers of a job as they stand in its message. */
export type HeaderList = [name: string, value: string][];

/** What a job's message says of it beyond its data. All of it is optional: a bare publish is a valid job. */
export interface JobHeaders {
  /** Number of the coming attempt, from 1. */
  attempt: number;
  /** How often earlier copies of this attempt were delivered without a reported end. */
  deliveries: number;
  /** Starts of this attempt without a reported end, where they are known. */
  starts?: number;
  /** How often the job was postponed. */
  postponed: number;
  /** The publish's message id: identifies the publish that stored the job. */
  nonce?: string;
  maxAttempts?: number;
  timeout?: number;
  backoff?: Backoff;
  enqueuedAt?: Date;
  expiresAt?: Date;
  key?: string;
  keepResult?: number;
  /** Sequence of the message that this moved copy replaces. */
  replaces?: number;
  /** Sequence of the waiting message that this copy is to replace, while it is not decided whether a worker was faster. */
  replacing?: number;
  /** Sequence of the waiting message whose place this copy has taken. */
  displaces?: number;
  /** Sequences of the active messages that this job runs after. */
  after?: number[];
  /** Whether the server made it as the schedule of a delayed job fired. */
  fired?: true;
  /** When a delayed message is due. What the server makes of it keeps that. */
  due?: Date;
  /** The firings of delayed messages that this one has replaced, the oldest first. */
  supersedes?: string[];
  /** The headers that its publisher gave. */
  own: HeaderList;
  /** All of them, as they stand. */
  all: HeaderList;
}

const NONE: JobHeaders = { attempt: 1, deliveries: 0, postponed: 0, own: [], all: [] };

/** Active messages that a job can wait for. */
export const MAX_AFTER = 4;

/** Replaced delayed messages that a job names: of those of one subject a server fires at most the newest. */
const MAX_SUPERSEDED = 16;

/** What each header of ours says. */
const READERS = new Map<string, (job: JobHeaders, value: string) => void>([
  ["Nats-Msg-Id", (job, value) => job.nonce ??= value],
  ["Job-Nonce", (job, value) => job.nonce = value],
  ["Job-Attempt", (job, value) => job.attempt = whole(value) ?? 1],
  ["Job-Deliveries", (job, value) => job.deliveries = whole(value) ?? 0],
  ["Job-Starts", (job, value) => job.starts = count(value)],
  ["Job-Postponed", (job, value) => job.postponed = count(value) ?? 0],
  ["Job-Max-Attempts", (job, value) => job.maxAttempts = whole(value)],
  ["Job-Timeout", (job, value) => job.timeout = timer(value)],
  ["Job-Backoff", (job, value) => job.backoff = parseBackoff(value)],
  ["Job-Enqueued-At", (job, value) => job.enqueuedAt = date(value)],
  ["Job-Expires-At", (job, value) => job.expiresAt = date(value)],
  ["Job-Key", (job, value) => job.key = value],
  ["Job-Keep-Result", (job, value) => job.keepResult = positive(value)],
  ["Job-Replaces", (job, value) => job.replaces = whole(value)],
  ["Job-Replacing", (job, value) => job.replacing = whole(value)],
  ["Job-Displaces", (job, value) => job.displaces = whole(value)],
  ["Job-After", (job, value) => job.after = sequences(value)],
  ["Job-Due", (job, value) => job.due = date(value)],
  ["Job-Supersedes", (job, value) => job.supersedes = value.split(",", MAX_SUPERSEDED)],
  ["Nats-Scheduler", (job) => job.fired = true],
]);

/**
 * Reads the headers of a delivered message. Most jobs have none but the server's, which takes one look and no parsing.
 *
 * @param whole Whether these, the nonce, are read as well.
 */
export function readJobHeaders(message: Msg, whole = false): JobHeaders {
  return !whole && hasOnlyServerHeaders(message) ? NONE : parseJobHeaders(headerPairs(message));
}

/** Reads headers; what is malformed counts as absent, since any client may have written it. */
export function parseJobHeaders(all: HeaderList): JobHeaders {
  const parsed: JobHeaders = { ...NONE, own: [], all };
  for (const pair of all) {
    const [name, value] = pair;
    const read = READERS.get(name);
    if (read) read(parsed, value);
    else if (!isReserved(name)) parsed.own.push(pair);
  }
  return parsed;
}

/** Headers that belong to one message only. */
const PASSING = new Set([
  "Job-Attempt",
  "Job-Deliveries",
  "Job-Starts",
  "Job-Postponed",
  "Job-Replaces",
  "Job-Replacing",
  "Job-Displaces",
  "Job-Due",
  "Job-Supersedes",
  "Job-Nonce",
  "Job-Enqueued-At",
]);

/** The headers that a moved copy, or a dead letter, takes along: all but the server's and those that belong to one message only. */
export function lastingHeaders(headers: JobHeaders, enqueuedAt: Date): HeaderList {
  const lasting = headers.all.filter(([name]) => !/^nats-/i.test(name) && !PASSING.has(name));
  if (headers.nonce !== undefined) lasting.push(["Job-Nonce", headers.nonce]);
  lasting.push(["Job-Enqueued-At", enqueuedAt.toISOString()]);
  return lasting;
}

/**
 * Names the firing of a delayed job: the same for the delayed message, and for what the server makes of it. Ten characters. `undefined` where nothing
 * tells it from that of another job with this id, as another client has published it.
 */
export function firingOf(token: string, headers: JobHeaders): string | undefined {
  const { nonce, attempt, postponed, replaces = 0, enqueuedAt } = headers;
  if (nonce === undefined && enqueuedAt === undefined) return undefined;
  const text = `${token} ${nonce ?? ""} ${attempt} ${postponed} ${replaces} ${enqueuedAt?.getTime() ?? 0}`;
  return createHash("sha256").update(text).digest("base64url").slice(0, 10);
}

/**
 * Whether what a schedule has made of a job is superseded by another message of it: by a copy that names it, or by one of the same publish that is
 * further, or as far and was stored before.
 */
export function isSuperseded(token: string, headers: JobHeaders, by: JobHeaders, isBefore: boolean): boolean {
  const firing = firingOf(token, headers);
  // A copy that is not decided may be withdrawn.
  if (firing === undefined || by.replacing !== undefined) return false;
  if (by.supersedes?.includes(firing)) return true;
  if (headers.nonce !== by.nonce || headers.enqueuedAt?.getTime() !== by.enqueuedAt?.getTime()) return false;
  const further = by.attempt - headers.attempt || by.postponed - headers.postponed;
  return further > 0 || further === 0 && isBefore;
}

/** What schedules a message: when it is due, and the subject on which it then waits. */
export function scheduleHeaders(target: string, due: number): HeaderList {
  const at = new Date(due).toISOString();
  return [["Nats-Schedule", `@at ${at}`], ["Nats-Schedule-Target", target], ["Job-Due", at]];
}

/** The header by which a copy names the firings that must not run any more once it is stored. */
export function supersedesHeader(token: string, headers: JobHeaders): HeaderList {
  const firings = [...headers.supersedes ?? [], firingOf(token, headers)].filter((firing) => firing !== undefined);
  return firings.length > 0 ? [["Job-Supersedes", firings.slice(-MAX_SUPERSEDED).join(",")]] : [];
}

function positive(text: string): number | undefined {
  const number = Number(text);
  return Number.isFinite(number) && number > 0 ? number : undefined;
}

function whole(text: string): number | undefined {
  const number = positive(text);
  return Number.isSafeInteger(number) ? number : undefined;
}

function count(text: string): number | undefined {
  return text === "0" ? 0 : whole(text);
}

/** As many as {@linkcode MAX_AFTER}: what comes from others is not to cost more look-ups. */
function sequences(text: string): number[] | undefined {
  const found = text.split(",", MAX_AFTER).map(whole).filter((sequence) => sequence !== undefined);
  return found.length > 0 ? found : undefined;
}

function timer(text: string): number | undefined {
  const ms = positive(text);
  return ms && Math.min(ms, MAX_TIMER);
}

function date(text: string): Date | undefined {
  const parsed = new Date(text);
  return Number.isNaN(parsed.getTime()) ? undefined : parsed;
}

function parseBackoff(text: string): Backoff | undefined {
  try {
    const value = JSON.parse(text);
    checkBackoff(value, "read a header");
    return value;
  } catch {
    return undefined;
  }
}
