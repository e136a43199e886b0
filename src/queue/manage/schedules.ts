import type { Call } from "../../wire/call.ts";
import { nuid } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { isNoResponders } from "../../connection/unavailable.ts";
import { delay } from "../../delay.ts";
import { ErrorCode, orElse } from "../../wire/api.ts";
import { HeaderBlock } from "../../connection/nats/headers.ts";
import { retryUntil } from "../../wire/retry_until.ts";
import { listingStep } from "../../wire/listing.ts";
import { publish } from "../../wire/publish.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { leaderGet } from "../../wire/leader_get.ts";
import { deleteMessage, mayBeRemoved, streamInfo, unknownRemoval } from "../../wire/streams.ts";
import { checkDuration } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import { wholeSeconds } from "../../wire/durations.ts";
import type { HeaderList } from "../format/job_headers.ts";
import type { JobReceipt } from "../publish/job_receipt.ts";

import { callQueue } from "../store/queue_call.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { checkCron, nextOfCron } from "../format/cron_expression.ts";
import { parseJobData } from "../format/job_data.ts";
import {
  checkPriority,
  idOf,
  type Priority,
  priorityOf,
  type QueueNames,
  tickToken,
  tokenOf,
} from "../format/queue_names.ts";
import { checkSize, jobBytes } from "../format/job_size.ts";
import { jsonText } from "../format/json_text.ts";

/**
 * When a job repeats, and what it is.
 *
 * @category Jobs
 */
export interface ScheduleOptions<T = unknown> {
  /** Milliseconds between two runs, at least 1000; whole seconds, rounded up. Either this or `cron`. */
  every?: number;
  /**
   * A cron expression of six fields, seconds first: `0 30 7 * * MON-FRI` is half past seven on weekdays. Five fields, as in a crontab, and names
   * such as `@daily` are translated. Either this or `every`.
   *
   * Where clocks change, a local time that a day skips has no run that day, and one that a day has twice runs twice.
   */
  cron?: string;
  /**
   * The time zone of `cron`, for instance `Europe/Berlin`.
   *
   * @default {"UTC"}
   */
  timeZone?: string;
  /**
   * How urgent its jobs are.
   *
   * @default {"normal"}
   */
  priority?: Priority;
  /** The data of its jobs. */
  data: T;
}

const OPTIONS: OptionNames<ScheduleOptions> = { every: true, cron: true, timeZone: true, priority: true, data: "null" };

/**
 * A schedule as the server keeps it.
 *
 * @category Jobs
 */
export interface ScheduleInfo<T = unknown> {
  /** The schedule's id. */
  id: string;
  /** Milliseconds between two runs. */
  every?: number;
  /** Its cron expression. */
  cron?: string;
  /** The time zone of `cron`. */
  timeZone?: string;
  /** How urgent its jobs are. */
  priority: Priority;
  /** The data of its jobs. */
  data: T | undefined;
  /**
   * When the server makes the next job; `null` if never. Computed here by the server's rules. With `every`, a server that was down when a job was due
   * makes it as it starts and counts on from there, which this does not include.
   */
  next: Date | null;
}

/** A checked schedule. */
export interface PreparedSchedule {
  token: string;
  /** Of its jobs. */
  subject: string;
  headers: HeaderList;
  payload: string;
}

const DOING = "keep the schedule";
const VERSION = "2.14";

/**
 * The options of a schedule; {@linkcode prepareSchedule} checks their values.
 *
 * @throws {TypeError} Naming one that is unknown.
 */
export function checkScheduleOptions<T>(options: ScheduleOptions<T>): ScheduleOptions<T> {
  return checkOptions(options, OPTIONS, DOING);
}

/**
 * Checks the options and makes the message of a schedule.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule; of a cron expression, the field that is wrong.
 */
export function prepareSchedule(names: QueueNames, token: string, options: ScheduleOptions): PreparedSchedule {
  const { every, cron, timeZone, priority = "normal", data } = options;
  if ((every === undefined) === (cron === undefined)) {
    throw new TypeError(`Cannot ${DOING} as it must have either 'every' or 'cron'`);
  }
  checkPriority(priority, DOING);
  if (timeZone !== undefined && cron === undefined) {
    throw new TypeError(`Cannot ${DOING} as 'timeZone' goes with 'cron' only`);
  }
  const target = names.ready(priority, tickToken(token));
  const headers: HeaderList = [["Nats-Schedule-Target", target]];
  if (timeZone !== undefined) headers.push(["Nats-Schedule-Time-Zone", timeZone]);
  const pattern = every === undefined ? checkCron(cron!, timeZone, DOING) : `@every ${secondsOf(every)}s`;
  headers.push(["Nats-Schedule", pattern]);
  return { token, subject: target, headers, payload: jsonText(data, DOING, "data") };
}

/** Milliseconds until it looks again at what others stored at the same time. */
const LOOK_AGAIN_MS = 20;

/**
 * Stores a schedule, in place of the one of its id if that differs. One with the same settings stays as it is, and so keeps its phase: services store
 * their schedules at each start.
 */
export async function storeSchedule(
  call: Call,
  { names, stream }: QueueContext,
  schedule: PreparedSchedule,
): Promise<void> {
  call.session.server.require(VERSION, "A schedule that repeats");
  checkSize(schedule, call.session.maxPayload, DOING);
  await stream.open(call);
  try {
    for (;;) {
      const kept = await leaderGet(call, names.stream, { last_by_subj: names.schedule(schedule.token) });
      if (kept && isSame(kept, schedule)) return;
      const store = () => replaceSchedule(call, names, schedule, kept?.sequence ?? 0);
      if (await stream.publishWithin(call, jobBytes(schedule), 1, store)) return;
      await delay(LOOK_AGAIN_MS);
    }
  } catch (error) {
    // Others removed the queue since it was opened: the next try makes it again.
    if (isNoResponders(error)) stream.forget();
    throw error;
  }
}

/** Stores a schedule in place of the message of this sequence; `false` if another one is there, which may be this one, stored by an earlier try. */
async function replaceSchedule(
  call: Call,
  names: QueueNames,
  { token, headers, payload }: PreparedSchedule,
  sequence: number,
): Promise<boolean> {
  const block = new HeaderBlock([...headers, ["Nats-Expected-Last-Subject-Sequence", String(sequence)]]);
  const send = (call: Call) => publish(call, names.schedule(token), payload, block);
  const { wrongLastSequence, wrongLastSequenceUnknown } = ErrorCode;
  return await orElse(null, retryUntil(call, send), wrongLastSequence, wrongLastSequenceUnknown) !== null;
}

function isSame(kept: StoredMessage, { headers, payload }: PreparedSchedule): boolean {
  const ofSchedule = (list: HeaderList) => list.filter(([name]) => name.startsWith("Nats-Schedule")).sort().join("\n");
  return ofSchedule(kept.headers()) === ofSchedule(headers) && Buffer.from(payload).equals(kept.data);
}

/** Removes a schedule; `false` if there was none. Jobs that it has made stay. */
export async function removeSchedule(call: Call, names: QueueNames, token: string): Promise<boolean> {
  let removed = false;
  for (;;) {
    const message = await leaderGet(call, names.stream, { last_by_subj: names.schedule(token) });
    if (!message) break;
    removed = await deleteMessage(call, names.stream, message.sequence) || removed;
  }
  if (!removed && mayBeRemoved(call, "message", names.stream)) throw unknownRemoval();
  return removed;
}

/** Publishes what a schedule makes, now and beside its ticks; `null` if there is no such schedule, or it is not confirmed. */
export function runSchedule(parts: QueueContext, token: string): Promise<JobReceipt | null> {
  const { names } = parts;
  // The same over all attempts.
  const headers = new HeaderBlock([["Nats-Msg-Id", nuid.next()]]);
  return callQueue(parts, async (call) => {
    const schedule = await leaderGet(call, names.stream, { last_by_subj: names.schedule(token) });
    if (!schedule) return null;
    const { priority } = readSchedule(schedule, call.session.now());
    const subject = names.ready(priority, tickToken(token));
    const ack = await retryUntil(call, (call) => publish(call, subject, schedule.data, headers));
    return { id: idOf(tickToken(token)), queue: names.queue, sequence: ack.seq, duplicate: ack.duplicate === true };
  });
}

/** The schedules of a queue; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection. */
export async function* listSchedules<T>({ context, names }: QueueContext): AsyncGenerator<ScheduleInfo<T>, void> {
  const read = (call: Call) => readSchedules<T>(call, names);
  yield* await listingStep(context, `The schedules of queue ${names.queue}`, read);
}

async function readSchedules<T>(call: Call, names: QueueNames): Promise<ScheduleInfo<T>[]> {
  const info = await streamInfo(call, names.stream, { subjects_filter: names.schedule("*") });
  const subjects = Object.keys(info?.state.subjects ?? {}).sort();
  const messages = await Promise.all(
    subjects.map((subject) => leaderGet(call, names.stream, { last_by_subj: subject })),
  );
  return messages.filter((message) => message !== null).map((message) => readSchedule<T>(message, call.session.now()));
}

function readSchedule<T>(message: StoredMessage, now: number): ScheduleInfo<T> {
  const pattern = message.header("Nats-Schedule") ?? "";
  const timeZone = message.header("Nats-Schedule-Time-Zone");
  const target = message.header("Nats-Schedule-Target")?.split(".")[3];
  const seconds = /^@every (\d+)s$/.exec(pattern)?.[1];
  const every = seconds === undefined ? undefined : Number(seconds) * 1000;
  return {
    id: idOf(tokenOf(message.subject)),
    ...(every === undefined ? { cron: pattern } : { every }),
    ...(timeZone !== undefined && { timeZone }),
    priority: priorityOf(target),
    data: parseJobData<T>(message.data),
    next: every === undefined ? nextOfCron(pattern, timeZone, now) : nextOfEvery(message.time, every, now),
  };
}

/** The server counts from the whole second that is nearest to when the schedule was stored, which may be half a second ahead. */
function nextOfEvery(stored: Date, every: number, now: number): Date {
  const since = Math.round(stored.getTime() / 1000) * 1000;
  return new Date(since + Math.max(1, Math.floor((now - since) / every) + 1) * every);
}

function secondsOf(every: number): number {
  checkDuration(every, DOING, "every", 1_000);
  return wholeSeconds(every);
}
