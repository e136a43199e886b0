import { nuid } from "@nats-io/nats-core";
import { checkBoolean, checkDuration, checkObject, checkText, checkWhole, MAX_TIMER, wrong } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import { encodeToken } from "../../wire/tokens.ts";
import { isOwnHeaderName } from "../../wire/header_names.ts";
import { dueTime, serverTime } from "../format/due_time.ts";
import type { HeaderList } from "../format/job_headers.ts";
import { jsonText } from "../format/json_text.ts";
import { checkPriority, idToken, PARTITIONS, type Priority, type QueueNames } from "../format/queue_names.ts";
import { type Backoff, checkBackoff } from "../format/retry_backoff.ts";

/**
 * How one job is published.
 *
 * @category Jobs
 */
export interface PublishOptions {
  /**
   * The job's id, unique in its queue while the job waits, is delayed or runs.
   *
   * @default {the `requestId`; without it, a new one}
   */
  id?: string;
  /**
   * How urgent it is.
   *
   * @default {"normal"}
   */
  priority?: Priority;
  /** Milliseconds until it is ready; needs nats-server 2.12. Not together with `runAt` or `key`. */
  delay?: number;
  /** When it is ready; needs nats-server 2.12. Not together with `delay` or `key`. */
  runAt?: Date;
  /**
   * Attempts, the first one included, before it goes to the dead letters.
   *
   * @default {the consumer's}
   */
  maxAttempts?: number;
  /**
   * Milliseconds between a failed attempt and the next.
   *
   * @default {the consumer's}
   */
  backoff?: Backoff;
  /**
   * Milliseconds that one attempt may take.
   *
   * @default {the consumer's}
   */
  timeout?: number;
  /**
   * Milliseconds, from its publish, within which it must have started: later it is dropped, and reported as `expired`. A job whose worker died
   * counts as not started.
   */
  ttl?: number;
  /**
   * Headers of your own; names that begin with `Nats-` or `Job-` are reserved. A `traceparent` (W3C Trace Context) makes the runs of the job part
   * of that trace, in place of the publish's own.
   */
  headers?: Record<string, string>;
  /** Jobs of one key run one after another, in the order of their publishes. Not together with `delay`, `runAt` or `priority`. */
  key?: string;
  /**
   * Milliseconds that the handler's result is kept, at most a day; `undefined` is kept as `null`. If a result cannot be kept (it is no JSON value, it
   * is too large for a message), the job is completed all the same; the log and the event `completed` say why.
   */
  keepResult?: number;
  /**
   * Takes the place of the job of this `id` that is in the queue, which then runs with this data and these options only. If that job is active, or a
   * worker is just getting it, the new one runs after it, in place of its retries. Without such a job it is published as any other. Needs an `id` and
   * nats-server 2.14; not together with `key` or `requestId`.
   *
   * @default {false}
   */
  replace?: boolean;
  /**
   * Milliseconds until it runs, counted anew by each publish of this `id`: of many within that time the last one runs. As `replace` with a `delay`;
   * not together with `delay` or `runAt`.
   */
  debounce?: number;
  /** Names this call: a repeat of it, after an unconfirmed (`null`) one, is recognised for 30 seconds at least, whatever became of the job. */
  requestId?: string;
}

const OPTIONS: OptionNames<PublishOptions> = {
  id: true,
  priority: true,
  delay: true,
  runAt: true,
  maxAttempts: true,
  backoff: true,
  timeout: true,
  ttl: true,
  headers: true,
  key: true,
  keepResult: true,
  replace: true,
  debounce: true,
  requestId: true,
};

/** One of many jobs. */
type Entry<T> = PublishOptions & { data: T };

const ENTRY: OptionNames<Entry<unknown>> = { ...OPTIONS, data: "null" };

/** A job that is ready to be sent. */
export interface PreparedJob {
  id: string;
  token: string;
  subject: string;
  payload: string | Uint8Array;
  /** The publish's message id. */
  nonce: string;
  /** Whether the caller can repeat this publish under the same message id. */
  repeatable: boolean;
  /** Whether the library made the id, so that no other job can have it. */
  fresh: boolean;
  /** When it is ready: after so many milliseconds, or at a moment. */
  due: number | Date | undefined;
  /** Milliseconds within which it must have started. */
  ttl: number | undefined;
  keyed: boolean;
  /** Whether it takes the place of the job of its id. */
  replaces: boolean;
  /** All but the message id and the guard. */
  headers: HeaderList;
}

const DOING = "publish the job";

/**
 * The options that are given for a job; {@linkcode prepareJob} checks their values.
 *
 * @throws {TypeError} Naming one that is unknown.
 */
export function checkPublishOptions(options: PublishOptions | null | undefined): PublishOptions {
  return checkOptions(options, OPTIONS, DOING);
}

/**
 * As {@linkcode checkPublishOptions}, of one of many jobs, with its data.
 *
 * @throws {TypeError} Naming one that is unknown.
 */
export function checkEntry<T>(entry: Entry<T>): Entry<T> {
  return checkOptions(entry, ENTRY, DOING, "an entry of 'jobs'");
}

/**
 * Checks the options and makes the message of a job.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function prepareJob(names: QueueNames, data: unknown, options: PublishOptions): PreparedJob {
  const { requestId, id = requestId ?? nuid.next(), priority = "normal", key, runAt, delay } = options;
  if (requestId !== undefined) checkLine(requestId, "requestId");
  const token = idToken(id, DOING);
  checkPriority(priority, DOING);
  const nonce = requestId ?? (options.id === undefined ? id : nuid.next());
  const headers: HeaderList = [];
  const replaces = isReplacing(options);
  const due = dueTime(options.debounce ?? delay, runAt, DOING);
  if (key !== undefined) {
    checkLine(key, "key");
    if (delay !== undefined || due !== undefined || options.priority !== undefined) {
      throw new TypeError(
        `Cannot ${DOING} as 'key' must not come with 'delay', 'runAt' or 'priority': its order is that of the publishes`,
      );
    }
    headers.push(["Job-Key", key]);
  }
  const ready = key === undefined ? names.ready(priority, token) : names.keyed(partitionOf(key), token);
  if (due !== undefined) headers.push(["Nats-Schedule-Target", ready]);
  addOptionHeaders(headers, options);
  if (options.headers !== undefined) headers.push(...ownHeaders(options.headers));
  return {
    id,
    token,
    subject: due === undefined ? ready : names.later(priority, token),
    payload: jsonText(data, DOING, "data"),
    nonce,
    repeatable: requestId !== undefined,
    fresh: options.id === undefined && requestId === undefined,
    due,
    ttl: options.ttl,
    keyed: key !== undefined,
    replaces,
    headers,
  };
}

/**
 * The job as its queue takes it.
 *
 * @param dedupe Whether the queue recognises ids after their jobs are gone: then the id is the message id, too.
 * @param clock Tells the server's time, which is the one that counts.
 */
export function readyJob(job: PreparedJob, dedupe: boolean, clock: { now(): number }): PreparedJob {
  const { due, ttl } = job;
  const ready = dedupe && !job.replaces ? { ...job, nonce: job.token, repeatable: true } : job;
  if (due === undefined && ttl === undefined) return ready;
  const headers = [...job.headers];
  const now = clock.now();
  if (due !== undefined) {
    const at = typeof due === "number" ? new Date(now + due) : due;
    headers.push(
      ["Job-Nonce", ready.nonce],
      ["Nats-Schedule", `@at ${serverTime(at)}`],
      ["Job-Due", new Date(Math.max(now, at.getTime())).toISOString()],
      ["Job-Enqueued-At", new Date(now).toISOString()],
    );
  }
  if (ttl !== undefined) headers.push(["Job-Expires-At", new Date(now + ttl).toISOString()]);
  return { ...ready, headers };
}

/** The partition of a key: FNV-1a (32 bit) of its UTF-8 bytes. */
export function partitionOf(key: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash % PARTITIONS;
}

/** Whether a job takes the place of the one of its id. */
function isReplacing({ id, replace = false, debounce, key, requestId, delay, runAt }: PublishOptions): boolean {
  checkBoolean(replace, DOING, "replace");
  if (!replace && debounce === undefined) return false;
  const option = replace ? "replace" : "debounce";
  if (id === undefined) throw new TypeError(`Cannot ${DOING} as '${option}' must come with an 'id'`);
  if (key !== undefined || requestId !== undefined) {
    const rule = `'${option}' must not come with 'key' or 'requestId'`;
    throw new TypeError(`Cannot ${DOING} as ${rule}: of several publishes the last one counts`);
  }
  if (debounce === undefined) return true;
  checkDuration(debounce, DOING, "debounce", 1);
  if (delay !== undefined || runAt !== undefined) {
    throw new TypeError(`Cannot ${DOING} as 'debounce' must not come with 'delay' or 'runAt': it is the delay`);
  }
  return true;
}

function addOptionHeaders(headers: HeaderList, options: PublishOptions): void {
  const { maxAttempts, backoff, timeout, ttl, keepResult } = options;
  if (maxAttempts !== undefined) {
    checkWhole(maxAttempts, DOING, "maxAttempts", 1);
    headers.push(["Job-Max-Attempts", String(maxAttempts)]);
  }
  if (timeout !== undefined) {
    checkDuration(timeout, DOING, "timeout", 1, MAX_TIMER);
    headers.push(["Job-Timeout", String(timeout)]);
  }
  if (backoff !== undefined) {
    if (typeof backoff === "function") {
      throw new TypeError(`Cannot ${DOING} as 'backoff' must not be a function: it travels with the job`);
    }
    headers.push(["Job-Backoff", JSON.stringify(checkBackoff(backoff, DOING))]);
  }
  if (ttl !== undefined) checkDuration(ttl, DOING, "ttl", 1);
  if (keepResult !== undefined) {
    checkDuration(keepResult, DOING, "keepResult", 1, 86_400_000);
    headers.push(["Job-Keep-Result", String(keepResult)]);
  }
}

function ownHeaders(headers: Record<string, string>): HeaderList {
  checkObject(headers, DOING, "headers");
  return Object.entries(headers).map(([name, value]) => {
    if (!isOwnHeaderName(name)) {
      throw wrong(TypeError, `${DOING} as a header's name must be a token and not begin with Nats- or Job-`, name);
    }
    if (typeof value !== "string" || !value.isWellFormed() || /[\r\n\0]/.test(value) || value !== value.trim()) {
      throw wrong(TypeError, `${DOING} as header '${name}' must be one line of text without spaces around it`, value);
    }
    return [name, value];
  });
}

/** A text that travels in a header of its own. */
function checkLine(text: unknown, what: string): asserts text is string {
  checkText(text, DOING, what);
  if (/[\r\n\0]/.test(text) || text !== text.trim() || encodeToken(text).length > 1_024) {
    const rule = `'${what}' must be one line of at most about 700 bytes, without spaces around it`;
    throw wrong(RangeError, `${DOING} as ${rule}`, text.slice(0, 80));
  }
}
