import { Unavailable } from "../../connection/unavailable.ts";
import type { Call } from "../../wire/call.ts";
import { publish } from "../../wire/publish.ts";
import { deleteStream, openStream, purgeStream, type StreamConfig, streamInfo } from "../../wire/streams.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { parseRate, RATE_LABEL, type StartRate } from "../format/start_rate.ts";
import { consumerConfig, writeConsumer } from "./durable_consumer.ts";
import { isPermitStream, notOfQueue, queueLabel } from "./stream_kinds.ts";

/** The durable consumer of the permits. */
export const PERMITS = "permits";

/**
 * Permits travel for a while, and servers give them out again 1 to 2 ms late: by so many milliseconds the ack wait is shorter, and by this part of the
 * interval, and of the time from one permit to the next, at most.
 */
const EARLY = { ms: 3, part: 0.03, permits: 0.15 };

/** Permits that are stored at the same time. */
const MAX_PERMITS_IN_FLIGHT = 256;

/** How often what another call changes at the same time is looked at. */
const MAX_LOOKS = 5;

/**
 * Stores as many permits as jobs may start within an interval. A worker takes one by a pull and never answers it, so that the server gives it out again
 * after the consumer's ack wait, which is the interval: a worker that dies leaves nothing behind.
 */
export async function openPermits(
  call: Call,
  names: QueueNames,
  { jobs, interval }: StartRate,
  replicas: number,
): Promise<void> {
  const wanted: StreamConfig = {
    name: names.permitStream,
    subjects: [names.permit],
    retention: "limits",
    storage: "file",
    num_replicas: replicas,
    metadata: queueLabel(names),
  };
  let info = await openStream(call, wanted, (present) => {
    if (isPermitStream(present, names)) return null;
    throw notOfQueue(names.permitStream, "the permits", names);
  });
  const config = consumerConfig(PERMITS, names.permit, ackWait({ jobs, interval }));
  await writeConsumer(call, { stream: names.permitStream }, config);
  for (let looks = 0; looks < MAX_LOOKS && info.state.messages !== jobs; looks++) {
    if (info.state.messages > jobs) await purgeStream(call, names.permitStream, { keep: jobs });
    else await storePermits(call, names, jobs - info.state.messages);
    const next = await streamInfo(call, names.permitStream);
    if (!next) throw new Unavailable("no_responders", "The permits were removed");
    info = next;
  }
  if (info.state.messages !== jobs) throw new Unavailable("no_leader", "Another call changes the permits, too");
}

/**
 * Lets the permits be those of the limit in force, and returns its label: several calls at the same time may each have made its own. Without a limit they
 * stay, as nobody can tell whether another call is about to announce one.
 */
export async function matchPermits(call: Call, names: QueueNames, replicas: number): Promise<string | undefined> {
  let label = await labelInForce(call, names);
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const rate = parseRate({ [RATE_LABEL]: label ?? "" });
    if (!rate) return label;
    await openPermits(call, names, rate, replicas);
    const next = await labelInForce(call, names);
    if (next === label) return label;
    label = next;
  }
  throw new Unavailable("no_leader", "The rate limit is changed at the same time, again and again");
}

async function labelInForce(call: Call, { stream }: QueueNames): Promise<string | undefined> {
  const info = await streamInfo(call, stream);
  if (!info) throw new Unavailable("no_responders", "The queue was removed");
  return info.config.metadata?.[RATE_LABEL];
}

function ackWait({ jobs, interval }: StartRate): number {
  return interval - Math.min(EARLY.ms, EARLY.part * interval, EARLY.permits * interval / jobs);
}

async function storePermits(call: Call, names: QueueNames, count: number): Promise<void> {
  for (let stored = 0; stored < count; stored += MAX_PERMITS_IN_FLIGHT) {
    const some = Array.from({ length: Math.min(MAX_PERMITS_IN_FLIGHT, count - stored) });
    await Promise.all(some.map(() => publish(call, names.permit, "")));
  }
}

/** Removes the permits. */
export async function removePermits(call: Call, names: QueueNames): Promise<void> {
  const info = await streamInfo(call, names.permitStream);
  if (info && isPermitStream(info.config, names)) await deleteStream(call, names.permitStream);
}
