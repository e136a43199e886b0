import type { QueueContext } from "../store/queue_context.ts";
import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { leaderGet } from "../../wire/leader_get.ts";
import { streamInfo } from "../../wire/streams.ts";
import { PRIORITIES, type Priority } from "../format/queue_names.ts";
import { parseRate, type StartRate } from "../format/start_rate.ts";
import { type ConsumerInfo, consumerInfos } from "../store/durable_consumer.ts";
import { NO_END } from "./pause_queue.ts";

/**
 * How many jobs a queue has.
 *
 * @category Jobs
 */
export interface JobCounts {
  /** Jobs that wait for a worker. */
  ready: { high: number; normal: number; low: number; keyed: number };
  /** Jobs that are handed to a worker. */
  active: number;
  /** Jobs that are not due yet. */
  delayed: number;
  /** Dead letters. */
  dead: number;
  /** Milliseconds that the oldest ready job has waited, or `null` if there is none. */
  oldest: number | null;
  /** Messages that have left the queue since it was made: by a completion, a retry, a cancel or a death. Of use as a rate. */
  ended: number;
  /** The pause, or `null` if no priority is paused. */
  paused: QueuePause | null;
  /** How many jobs of each priority may be active at the same time; `null`: no limit. */
  limits: { high: number | null; normal: number | null; low: number | null };
  /** How many jobs may start within an interval, over all workers; `null`: no limit. */
  rateLimit: StartRate | null;
}

/**
 * A pause of a queue, or of some priorities.
 *
 * @category Jobs
 */
export interface QueuePause {
  /** The priorities that are paused. */
  priorities: Priority[];
  /** When the last of them ends by itself; `null`: when it is resumed. */
  until: Date | null;
}

/** Counts the jobs of a queue by what the server keeps count of: as quick with a million jobs as with none. `null` if there is no queue. */
export async function countJobs(call: Call, { names, stream }: QueueContext): Promise<JobCounts | null> {
  const info = await streamInfo(call, names.stream, { subjects_filter: names.schedule("*") });
  if (!info) return null;
  await stream.openConsumers(call);
  const [dead, consumers] = await Promise.all([
    streamInfo(call, names.deadStream),
    consumerInfos(call, names),
  ]);
  const [high, normal, low] = PRIORITIES.map((priority) =>
    sum(consumers.filter(({ name }) => name === priority), "num_pending")
  );
  const ready = sum(consumers, "num_pending");
  const active = sum(consumers, "num_ack_pending");
  const schedules = Object.keys(info.state.subjects ?? {}).length;
  return {
    ready: { high, normal, low, keyed: ready - high - normal - low },
    active,
    delayed: Math.max(0, info.state.messages - ready - active - schedules),
    dead: dead?.state.messages ?? 0,
    oldest: await oldestReady(call, names, consumers),
    ended: Math.max(0, info.state.last_seq - info.state.messages),
    paused: pauseOf(consumers),
    limits: { high: limitOf(consumers, "high"), normal: limitOf(consumers, "normal"), low: limitOf(consumers, "low") },
    rateLimit: parseRate(info.config.metadata),
  };
}

function pauseOf(consumers: ConsumerInfo[]): QueuePause | null {
  const paused = consumers.filter(({ name, paused = false }) => paused && PRIORITIES.includes(name as Priority));
  if (paused.length === 0) return null;
  const until = Math.max(...paused.map(({ config }) => Date.parse(config.pause_until ?? "")));
  const ends = until < NO_END.getTime();
  return { priorities: paused.map(({ name }) => name as Priority), until: ends ? new Date(until) : null };
}

function limitOf(consumers: ConsumerInfo[], priority: Priority): number | null {
  const limit = consumers.find(({ name }) => name === priority)?.config.max_ack_pending ?? -1;
  return limit > 0 ? limit : null;
}

async function oldestReady(call: Call, names: QueueNames, consumers: ConsumerInfo[]): Promise<number | null> {
  const waiting = consumers.filter(({ num_pending }) => num_pending > 0);
  const ages = await Promise.all(waiting.map(async ({ delivered, config, ts }) => {
    const query = { seq: delivered.stream_seq + 1, next_by_subj: config.filter_subject };
    const first = await leaderGet(call, names.stream, query);
    // By the server's clock, which wrote both.
    return first ? Date.parse(ts) - first.time.getTime() : null;
  }));
  const known = ages.filter((age) => age !== null);
  return known.length > 0 ? Math.max(0, ...known) : null;
}

function sum(consumers: ConsumerInfo[], field: "num_pending" | "num_ack_pending"): number {
  return consumers.reduce((total, consumer) => total + consumer[field], 0);
}
