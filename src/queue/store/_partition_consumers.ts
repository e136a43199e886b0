import type { Call } from "../../wire/call.ts";
import type { QueueNames } from "../format/queue_names.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { Logger } from "../../connection/logger.ts";
import { Once } from "../../wire/once.ts";
import { streamInfo } from "../../wire/streams.ts";
import { consumerConfig, consumerInfos, ensureConsumer } from "./durable_consumer.ts";
import { partitionNames, PRIORITIES } from "../format/queue_names.ts";
import { messageOf } from "../../shown.ts";

/** Milliseconds after which the partitions are looked for again. */
const LOOK_AGAIN_MS = 1_000;

/** What the partitions need of their queue. */
export interface PartitionsQueue {
  readonly names: QueueNames;
  /** Opens the stream, also where it was removed since it was last opened; gives the lease in milliseconds. */
  reopen(call: Call): Promise<number>;
  /** The lease of a queue that is there, in milliseconds. */
  leaseOf(call: Call): Promise<number>;
}

/**
 * Makes the durable consumers of the partitions, with one unacknowledged job each, which keeps the order. They are looked for again now and then: others
 * may have made the queue anew, without them, and jobs would belong to no consumer. What is published meanwhile need not wait for that.
 */
export class PartitionConsumers {
  readonly #queue: PartitionsQueue;
  readonly #logger: Logger;
  readonly #once: Once<void> = new Once((call) => this.#openAll(call));
  /** When they were last looked for, by `performance.now()`. */
  #seen = -Infinity;

  constructor(queue: PartitionsQueue, logger: Logger) {
    this.#queue = queue;
    this.#logger = logger;
  }

  /** Makes those that are missing; opened once. */
  open(call: Call): Promise<void> {
    const opened = this.#once.get(call);
    if (performance.now() - this.#seen >= LOOK_AGAIN_MS) this.remake(call);
    return opened;
  }

  /** Looks again at the next use. */
  forget(): void {
    this.#once.forget();
  }

  /** Makes those again that are gone; says so if that is refused. */
  async remake(call: Call): Promise<void> {
    this.#seen = performance.now();
    const { names } = this.#queue;
    try {
      if (await hasPartitions(call, names)) return;
      // A queue that was removed stays so.
      await makePartitions(call, names, await this.#queue.leaseOf(call));
    } catch (error) {
      if (error instanceof Unavailable) return;
      this.#logger.warn(`Jobs with a key of queue ${names.queue} may not be served: ${messageOf(error)}`);
    }
  }

  async #openAll(call: Call): Promise<void> {
    this.#seen = performance.now();
    const { names } = this.#queue;
    if (await hasPartitions(call, names)) return;
    // What was opened may be gone, too.
    await makePartitions(call, names, await this.#queue.reopen(call));
  }
}

/** By their number: the server takes no others beside them, whose filters would overlap. */
async function hasPartitions(call: Call, names: QueueNames): Promise<boolean> {
  const info = await streamInfo(call, names.stream);
  return info !== null && info.state.consumer_count >= PRIORITIES.length + partitionNames().length;
}

async function makePartitions(call: Call, names: QueueNames, lease: number): Promise<void> {
  const consumers = partitionNames();
  const last = consumers.pop()!;
  const others = await consumerInfos(call, names);
  // If the whole queue is paused, so are they.
  const pause_until = others.every(({ paused }) => paused) ? others[0]?.config.pause_until : undefined;
  const ensure = (name: string, partition: number) => {
    const config = consumerConfig(name, names.keyed(partition, "*"), lease);
    return ensureConsumer(call, names, { ...config, max_ack_pending: 1, pause_until });
  };
  const made = await Promise.all(consumers.map(ensure));
  made.push(await ensure(last, consumers.length));
  // Workers that are there already are to serve them. Of a fleet that finds some gone, not each announces them.
  if (made.includes(true)) call.session.send(names.changed, "");
}
