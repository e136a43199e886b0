import { Unavailable } from "../../connection/unavailable.ts";
import type { Logger } from "../../connection/logger.ts";
import { Once } from "../../wire/once.ts";
import type { Session } from "../../wire/session.ts";
import { consumerConfig, consumerInfo, consumerInfos, ensureConsumer } from "./durable_consumer.ts";
import type { QueueCall } from "./queue_call.ts";
import { partitionNames } from "../format/queue_names.ts";
import { messageOf } from "../format/thrown.ts";

/** Milliseconds after which the partitions are looked for again. */
const LOOK_AGAIN_MS = 1_000;

/** What the partitions need of their queue. */
export interface PartitionsQueue {
  call(session: Session, deadline: number): QueueCall;
  /** Opens the stream, also where it was removed since it was last opened; gives the lease in milliseconds. */
  reopen(session: Session, deadline: number): Promise<number>;
  /** The lease of a queue that is there, in milliseconds. */
  leaseOf(session: Session, deadline: number): Promise<number>;
}

/**
 * Makes the durable consumers of the partitions, with one unacknowledged job each, which keeps the order. They are looked for again now and then: others
 * may have made the queue anew, without them, and jobs would be stored for nobody. What is published meanwhile need not wait for that.
 */
export class PartitionConsumers {
  readonly #queue: PartitionsQueue;
  readonly #logger: Logger;
  readonly #once: Once<void> = new Once((session, deadline) => this.#openAll(session, deadline));
  /** When they were last looked for, by `performance.now()`. */
  #seen = -Infinity;

  constructor(queue: PartitionsQueue, logger: Logger) {
    this.#queue = queue;
    this.#logger = logger;
  }

  /** Makes those that are missing; opened once. */
  open(session: Session, deadline: number): Promise<void> {
    const opened = this.#once.get(session, deadline);
    if (performance.now() - this.#seen >= LOOK_AGAIN_MS) this.#lookAgain(session, deadline);
    return opened;
  }

  /** Looks again at the next use. */
  forget(): void {
    this.#once.forget();
  }

  async #lookAgain(session: Session, deadline: number): Promise<void> {
    this.#seen = performance.now();
    const call = this.#queue.call(session, deadline);
    try {
      if (await hasPartitions(call)) return;
      // A queue that was removed stays so.
      await makePartitions(call, await this.#queue.leaseOf(session, deadline));
    } catch (error) {
      if (error instanceof Unavailable) return;
      this.#logger.warn(`Jobs with a key of queue ${call.names.queue} may not be served: ${messageOf(error)}`);
    }
  }

  async #openAll(session: Session, deadline: number): Promise<void> {
    this.#seen = performance.now();
    const call = this.#queue.call(session, deadline);
    if (await hasPartitions(call)) return;
    // What was opened may be gone, too.
    await makePartitions(call, await this.#queue.reopen(session, deadline));
  }
}

/** The last one is made last: that it is there says that all are. */
async function hasPartitions(call: QueueCall): Promise<boolean> {
  return await consumerInfo(call, partitionNames().at(-1)!) !== null;
}

async function makePartitions(call: QueueCall, lease: number): Promise<void> {
  const names = partitionNames();
  const last = names.pop()!;
  const others = await consumerInfos(call);
  // If the whole queue is paused, so are they.
  const pause_until = others.every(({ paused }) => paused) ? others[0]?.config.pause_until : undefined;
  const ensure = (name: string, partition: number) => {
    const config = consumerConfig(name, call.names.keyed(partition, "*"), lease);
    return ensureConsumer(call, { ...config, max_ack_pending: 1, pause_until });
  };
  await Promise.all(names.map(ensure));
  await ensure(last, names.length);
  // Workers that are there already are to serve them.
  call.session.send(call.names.changed, "");
}
