import type { QueueNames } from "../format/queue_names.ts";
import type { Call } from "../../wire/call.ts";
import { delay } from "../../delay.ts";
import { JetStreamStoreError } from "../../errors.ts";
import { api, ErrorCode, orElse } from "../../wire/api.ts";
import { nanoseconds } from "../../wire/durations.ts";
import { streamInfo } from "../../wire/streams.ts";
import { partitionNames, PRIORITIES } from "../format/queue_names.ts";

/** The configuration of a durable consumer, as far as the queue reads or writes it. */
export interface ConsumerConfig {
  durable_name: string;
  ack_policy: "explicit";
  ack_wait: number;
  max_deliver: number;
  max_ack_pending: number;
  filter_subject: string;
  deliver_policy: "all";
  replay_policy: "instant";
  /** Pull requests that may wait at the same time, of all workers. The server does not let anybody change it. */
  max_waiting?: number;
  /** Jobs of one pull request, where the operator limits that. */
  max_batch?: number;
  /** Nanoseconds that a pull request may wait, where that is limited. */
  max_expires?: number;
  pause_until?: string;
}

/** The state of a durable consumer. */
export interface ConsumerInfo {
  name: string;
  config: ConsumerConfig;
  /** When it was made: another one of its name has another time. */
  created: string;
  /** The server's time. */
  ts: string;
  delivered: { stream_seq: number };
  /** Up to where it takes all as acknowledged. */
  ack_floor: { stream_seq: number };
  num_ack_pending: number;
  num_pending: number;
  /** Pull requests that wait. */
  num_waiting: number;
  paused?: boolean;
}

/** Pull requests that may wait at a durable consumer: one for each idle worker. The server's default of 512 leaves all further workers unserved. */
export const MAX_WAITING = 100_000;

/** How a durable consumer of a queue is made. */
export function consumerConfig(name: string, filter: string, lease: number): ConsumerConfig {
  return {
    durable_name: name,
    ack_policy: "explicit",
    ack_wait: nanoseconds(lease),
    max_deliver: -1,
    max_ack_pending: -1,
    filter_subject: filter,
    deliver_policy: "all",
    replay_policy: "instant",
    max_waiting: MAX_WAITING,
  };
}

/** The state of a durable consumer, or `null` if there is none. */
export function consumerInfo(call: Call, names: QueueNames, name: string): Promise<ConsumerInfo | null> {
  const answer = api<ConsumerInfo>(call, `CONSUMER.INFO.${names.stream}.${name}`, undefined);
  return orElse(null, answer, ErrorCode.consumerNotFound, ErrorCode.streamNotFound);
}

/** The durable consumers that there are: those of the priorities, and those of the partitions once there are jobs with a key. */
export async function consumerInfos(call: Call, names: QueueNames): Promise<ConsumerInfo[]> {
  const info = await streamInfo(call, names.stream);
  if (!info) return [];
  // One by one: a list of them, in a cluster, may lack some.
  const all = info.state.consumer_count > PRIORITIES.length ? [...PRIORITIES, ...partitionNames()] : PRIORITIES;
  const infos = await Promise.all(all.map((name) => consumerInfo(call, names, name)));
  return infos.filter((info) => info !== null);
}

/**
 * Milliseconds after which another's change, made from what it had read before ours, has come where the server answers at once, and how often it is
 * looked for.
 */
const CHECK_AFTER_CREATE = { after: 20, looks: 3 };

/**
 * Changes the configuration of the durable consumers that there are, and announces a change to the workers. The server takes a configuration
 * as a whole, the last one wins: so it is checked again, since another client may have written the old one back at the same time.
 *
 * @param adjust Gets the present state of each; returns what is to change, or `null`.
 */
export async function adjustConsumers(
  call: Call,
  names: QueueNames,
  adjust: (present: ConsumerInfo) => Partial<ConsumerConfig> | null,
): Promise<void> {
  for (let looks = 0, begun = performance.now();; begun = performance.now()) {
    if (!await adjustOnce(call, names, adjust) || ++looks >= CHECK_AFTER_CREATE.looks) return;
    // Theirs may take as long as ours, and longer. Half of what is left of the call's time is for the look.
    const now = performance.now();
    await delay(Math.max(CHECK_AFTER_CREATE.after, Math.min(2 * (now - begun), (call.deadline - now) / 2)));
  }
}

/** @returns Whether there was anything to change. */
async function adjustOnce(
  call: Call,
  names: QueueNames,
  adjust: (present: ConsumerInfo) => Partial<ConsumerConfig> | null,
): Promise<boolean> {
  let changed = false;
  try {
    const infos = await consumerInfos(call, names);
    // At once, as a shorter lease has to reach the workers before it is over for what they have.
    await Promise.all(infos.map((info) => {
      const change = adjust(info);
      if (!change) return;
      // Also if the answer is lost.
      changed = true;
      return writeConsumer(call, names, { ...info.config, ...change }, "update");
    }));
  } finally {
    if (changed) call.session.send(names.changed, "");
  }
  return changed;
}

/** Makes a durable consumer if it is missing; one that is there stays as it is. Tells whether it made it. */
export async function ensureConsumer(call: Call, names: QueueNames, wanted: ConsumerConfig): Promise<boolean> {
  const name = wanted.durable_name;
  if (await consumerInfo(call, names, name)) return false;
  try {
    await writeConsumer(call, names, wanted, "create");
    return true;
  } catch (error) {
    // Two workers that start together: the other one made it.
    if (!(error instanceof JetStreamStoreError) || !await consumerInfo(call, names, name)) throw error;
    return false;
  }
}

/**
 * Creates or changes a durable consumer.
 *
 * @param action What the server refuses to do otherwise; by default it does what is needed.
 */
export function writeConsumer(
  call: Call,
  { stream }: Pick<QueueNames, "stream">,
  config: ConsumerConfig,
  action?: "create" | "update",
): Promise<unknown> {
  const method = `CONSUMER.CREATE.${stream}.${config.durable_name}.${config.filter_subject}`;
  return api(call, method, { stream_name: stream, config, action });
}
