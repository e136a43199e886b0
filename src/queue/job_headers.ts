import type { Msg } from "@nats-io/nats-core";
import { MAX_TIMER } from "../checks.ts";
import { rawHeaders } from "../wire/raw_headers.ts";
import { headerPairs } from "../wire/stored_message.ts";
import { type Backoff, checkBackoff } from "./retry_backoff.ts";

/** The headers of a job as they stand in its message. */
export type HeaderList = [name: string, value: string][];

/** What a job's message says of it beyond its data. All of it is optional: a bare publish is a valid job. */
export interface JobHeaders {
  /** Number of the coming attempt, from 1. */
  attempt: number;
  /** How often earlier copies of this attempt were handed out without a reported end. */
  deliveries: number;
  /** The publish's message id: tells one's own publish from another's. */
  nonce: string | undefined;
  maxAttempts: number | undefined;
  timeout: number | undefined;
  backoff: Backoff | undefined;
  enqueuedAt: Date | undefined;
  expiresAt: Date | undefined;
  key: string | undefined;
  keepResult: number | undefined;
  /** Sequence of the message that this moved copy replaces. */
  replaces: number | undefined;
  /** The headers that its publisher gave. */
  own: HeaderList;
  /** All of them, as they stand. */
  all: HeaderList;
}

const NONE: JobHeaders = {
  attempt: 1,
  deliveries: 0,
  nonce: undefined,
  maxAttempts: undefined,
  timeout: undefined,
  backoff: undefined,
  enqueuedAt: undefined,
  expiresAt: undefined,
  key: undefined,
  keepResult: undefined,
  replaces: undefined,
  own: [],
  all: [],
};

/** A line that is neither the first nor the last one, nor a header of the server's. */
const OTHER_THAN_NATS = /\n(?!Nats-|\r\n)[^]/;

/**
 * Reads the headers of a delivered message. Most jobs have none but the server's, which takes one look and no parsing.
 *
 * @param whole Whether what those tell, the nonce, is read as well.
 */
export function readJobHeaders(message: Msg, whole = false): JobHeaders {
  const block = rawHeaders(message);
  return block === "" || (!whole && block !== undefined && !OTHER_THAN_NATS.test(block))
    ? NONE
    : parseJobHeaders(headerPairs(message));
}

/** Reads headers; what is malformed counts as absent, since any client may have written it. */
export function parseJobHeaders(all: HeaderList): JobHeaders {
  const parsed: JobHeaders = { ...NONE, own: [], all };
  for (const pair of all) {
    const [name, value] = pair;
    switch (name) {
      case "Nats-Msg-Id":
        parsed.nonce ??= value;
        break;
      case "Job-Nonce":
        parsed.nonce = value;
        break;
      case "Job-Attempt":
        parsed.attempt = positive(value) ?? 1;
        break;
      case "Job-Deliveries":
        parsed.deliveries = positive(value) ?? 0;
        break;
      case "Job-Max-Attempts":
        parsed.maxAttempts = positive(value);
        break;
      case "Job-Timeout":
        parsed.timeout = timer(value);
        break;
      case "Job-Backoff":
        parsed.backoff = parseBackoff(value);
        break;
      case "Job-Enqueued-At":
        parsed.enqueuedAt = date(value);
        break;
      case "Job-Expires-At":
        parsed.expiresAt = date(value);
        break;
      case "Job-Key":
        parsed.key = value;
        break;
      case "Job-Keep-Result":
        parsed.keepResult = positive(value);
        break;
      case "Job-Replaces":
        parsed.replaces = positive(value);
        break;
      default:
        if (!isReserved(name)) parsed.own.push(pair);
    }
  }
  return parsed;
}

/** Whether a header belongs to the server or to this library. */
export function isReserved(name: string): boolean {
  return /^(nats|job)-/i.test(name);
}

/** Headers that belong to one message only. */
const PASSING = new Set(["Job-Attempt", "Job-Deliveries", "Job-Replaces", "Job-Nonce", "Job-Enqueued-At"]);

/** The headers that a moved copy, or a dead letter, takes along: all but the server's and those that belong to one message only. */
export function lastingHeaders(headers: JobHeaders, enqueuedAt: Date): HeaderList {
  const lasting = headers.all.filter(([name]) => !/^nats-/i.test(name) && !PASSING.has(name));
  if (headers.nonce !== undefined) lasting.push(["Job-Nonce", headers.nonce]);
  lasting.push(["Job-Enqueued-At", enqueuedAt.toISOString()]);
  return lasting;
}

function positive(text: string): number | undefined {
  const number = Number(text);
  return Number.isFinite(number) && number > 0 ? number : undefined;
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
