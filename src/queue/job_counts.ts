import { leaderGet } from "../wire/direct_get.ts";
import type { Session } from "../wire/session.ts";
import { streamInfo } from "../wire/streams.ts";
import { PARTITIONS, PRIORITIES, type QueueNames } from "./queue_names.ts";
import type { ConsumerInfo, QueueStream } from "./queue_stream.ts";

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
export async function countJobs(
  session: Session,
  names: QueueNames,
  stream: QueueStream,
  deadline: number,
): Promise<JobCounts | null> {
  const info = await streamInfo(session, names.stream, deadline, { subjects_filter: names.schedule("*") });
  if (!info) return null;
  await stream.openConsumers(session, deadline);
  const [dead, ...consumers] = await Promise.all([
    streamInfo(session, names.deadStream, deadline),
    ...PRIORITIES.map((priority) => stream.consumerInfo(session, priority, deadline)),
  ]);
  const partitions = info.state.consumer_count > PRIORITIES.length
    ? await Promise.all(
      Array.from({ length: PARTITIONS }, (_, partition) => stream.consumerInfo(session, `k${partition}`, deadline)),
    )
    : [];
  const [high, normal, low] = consumers.map((consumer) => consumer?.num_pending ?? 0);
  const keyed = sum(partitions, "num_pending");
  const active = sum(consumers, "num_ack_pending") + sum(partitions, "num_ack_pending");
  const schedules = Object.keys(info.state.subjects ?? {}).length;
  return {
    ready: { high, normal, low, keyed },
    active,
    delayed: Math.max(0, info.state.messages - high - normal - low - keyed - active - schedules),
    dead: dead?.state.messages ?? 0,
    oldest: await oldestReady(session, names, [...consumers, ...partitions], deadline),
  };
}

async function oldestReady(
  session: Session,
  names: QueueNames,
  consumers: (ConsumerInfo | null)[],
  deadline: number,
): Promise<number | null> {
  const ages = await Promise.all(
    consumers.filter((consumer) => consumer !== null && consumer.num_pending > 0).map(async (consumer) => {
      const { delivered, config, ts } = consumer!;
      const query = { seq: delivered.stream_seq + 1, next_by_subj: config.filter_subject };
      const first = await leaderGet(session, names.stream, query, deadline);
      // By the server's clock, which wrote both.
      return first ? Date.parse(ts) - first.time.getTime() : null;
    }),
  );
  const known = ages.filter((age) => age !== null);
  return known.length > 0 ? Math.max(0, ...known) : null;
}

function sum(consumers: (ConsumerInfo | null)[], field: "num_pending" | "num_ack_pending"): number {
  return consumers.reduce((total, consumer) => total + (consumer?.[field] ?? 0), 0);
}
