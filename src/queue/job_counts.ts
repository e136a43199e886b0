import { leaderGet } from "../wire/leader_get.ts";
import { streamInfo } from "../wire/streams.ts";
import type { QueueCall } from "./queue_call.ts";
import { PRIORITIES } from "./queue_names.ts";
import { type ConsumerInfo, consumerInfos } from "./durable_consumer.ts";

/** How many jobs a queue has. */
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
}

/** Counts the jobs of a queue by what the server keeps count of: as quick with a million jobs as with none. `null` if there is no queue. */
export async function countJobs(call: QueueCall): Promise<JobCounts | null> {
  const { session, deadline, names, stream } = call;
  const info = await streamInfo(session, names.stream, deadline, { subjects_filter: names.schedule("*") });
  if (!info) return null;
  await stream.openConsumers(session, deadline);
  const [dead, consumers] = await Promise.all([
    streamInfo(session, names.deadStream, deadline),
    consumerInfos(call),
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
    oldest: await oldestReady(call, consumers),
  };
}

async function oldestReady({ session, deadline, names }: QueueCall, consumers: ConsumerInfo[]): Promise<number | null> {
  const waiting = consumers.filter(({ num_pending }) => num_pending > 0);
  const ages = await Promise.all(waiting.map(async ({ delivered, config, ts }) => {
    const query = { seq: delivered.stream_seq + 1, next_by_subj: config.filter_subject };
    const first = await leaderGet(session, names.stream, query, deadline);
    // By the server's clock, which wrote both.
    return first ? Date.parse(ts) - first.time.getTime() : null;
  }));
  const known = ages.filter((age) => age !== null);
  return known.length > 0 ? Math.max(0, ...known) : null;
}

function sum(consumers: ConsumerInfo[], field: "num_pending" | "num_ack_pending"): number {
  return consumers.reduce((total, consumer) => total + consumer[field], 0);
}
