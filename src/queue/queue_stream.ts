import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import type { Context } from "../wire/context.ts";
import { milliseconds, nanoseconds } from "../wire/durations.ts";
import { Once } from "../wire/once.ts";
import type { Session } from "../wire/session.ts";
import { openStream, type StreamConfig, streamInfo } from "../wire/streams.ts";
import {
  adjustConsumers,
  consumerConfig,
  type ConsumerInfo,
  consumerInfo,
  consumerInfos,
  ensureConsumer,
} from "./durable_consumer.ts";
import type { QueueCall } from "./queue_call.ts";
import { partitionNames, PRIORITIES, type QueueNames } from "./queue_names.ts";
import { DEFAULT_DEAD_LETTER_TTL, DEFAULT_LEASE, type QueueOptions } from "./queue_options.ts";
import { messageOf } from "./thrown.ts";

/** Milliseconds for which message ids are remembered when the queue has no `dedupe` window: enough for the repeats of an unconfirmed publish. */
const REPEAT_WINDOW = 30_000;

/** Milliseconds after which what is in force, and the partitions, are looked for again. */
const LOOK_AGAIN = 1_000;

/** The stream's metadata under which the queue's options stand. */
const META = { dedupe: "supercheck-dedupe", lease: "supercheck-lease" } as const;

/** What of the queue's options is in force. */
export interface OpenQueue {
  /** Whether ids are recognised for a while after their jobs are gone. */
  dedupe: boolean;
  /** Milliseconds. */
  lease: number;
  /** Servers that keep a copy. */
  replicas: number;
}

/** Opens what a queue keeps on the server: each part looked for first, and made only if it is missing. */
export class QueueStream {
  readonly #context: Context;
  readonly #names: QueueNames;
  readonly #options: QueueOptions;
  readonly #jobs: Once<OpenQueue> = new Once((session, deadline) => this.#openJobs(session, deadline));
  readonly #deadLetters: Once<unknown> = new Once((session, deadline) => this.#openDead(session, deadline));
  readonly #partitions: Once<void> = new Once((session, deadline) => this.#openAllPartitions(session, deadline));
  /** When what is in force was last looked for, by `performance.now()`. */
  #jobsSeen = -Infinity;
  /** When the partitions were last looked for, by `performance.now()`. */
  #partitionsSeen = -Infinity;

  constructor(context: Context, names: QueueNames, options: QueueOptions) {
    this.#context = context;
    this.#names = names;
    this.#options = options;
  }

  /** The stream of the jobs; opened once. Whoever opens it with a lease gives that to the durable consumers that there are. */
  open(session: Session, deadline: number): Promise<OpenQueue> {
    const opened = this.opened(session);
    return opened ? Promise.resolve(opened) : this.#jobs.get(session, deadline);
  }

  /** What is in force, once the stream of the jobs is open; looked for again now and then, since others may change it. */
  opened(session: Session): OpenQueue | null {
    const opened = this.#jobs.value;
    if (opened && performance.now() - this.#jobsSeen >= LOOK_AGAIN) this.#lookAtSettings(session, opened);
    return opened;
  }

  /** The stream of the dead letters; opened once. */
  openDeadLetters(session: Session, deadline: number): Promise<unknown> {
    return this.#deadLetters.get(session, deadline);
  }

  /** Looks again at the next use: a stream was found missing, or the server is another. */
  forget(): void {
    this.#jobs.forget();
    this.#deadLetters.forget();
    this.#partitions.forget();
  }

  /** The durable consumers of the priorities; with the stream, if others removed that since it was opened. */
  async openConsumers(session: Session, deadline: number): Promise<void> {
    try {
      await this.#openConsumers(session, deadline);
    } catch (error) {
      if (!isServerError(error, ErrorCode.streamNotFound)) throw error;
      this.forget();
      await this.#openConsumers(session, deadline);
    }
  }

  async #openConsumers(session: Session, deadline: number): Promise<void> {
    const { lease } = await this.open(session, deadline);
    const call = this.#call(session, deadline);
    const configs = PRIORITIES.map((priority) => consumerConfig(priority, this.#names.readyFilter(priority), lease));
    await Promise.all(configs.map((config) => ensureConsumer(call, config)));
  }

  /**
   * The durable consumers of the partitions, with one unacknowledged job each, which keeps the order. They are looked for again now and then: others
   * may have made the queue anew, without them, and jobs would be stored for nobody. What is published meanwhile need not wait for that.
   */
  openPartitions(session: Session, deadline: number): Promise<void> {
    const opened = this.#partitions.get(session, deadline);
    if (performance.now() - this.#partitionsSeen >= LOOK_AGAIN) this.#lookAgain(session, deadline);
    return opened;
  }

  #call(session: Session, deadline: number): QueueCall {
    return { session, deadline, names: this.#names, stream: this };
  }

  async #lookAgain(session: Session, deadline: number): Promise<void> {
    this.#partitionsSeen = performance.now();
    try {
      if (await this.#hasPartitions(session, deadline)) return;
      const info = await streamInfo(session, this.#names.stream, deadline);
      // A queue that was removed stays so.
      if (info) await this.#makePartitions(session, inForce(info.config), deadline);
    } catch (error) {
      if (error instanceof Unavailable) return;
      this.#context.logger.warn(`Jobs with a key of queue ${this.#names.queue} may not be served: ${messageOf(error)}`);
    }
  }

  async #lookAtSettings(session: Session, before: OpenQueue): Promise<void> {
    const now = this.#jobsSeen = performance.now();
    try {
      const info = await streamInfo(session, this.#names.stream, now + this.#context.timeout);
      if (info) this.#jobs.renew(before, inForce(info.config));
    } catch {
      // Who needs the queue meets the reason.
    }
  }

  async #openAllPartitions(session: Session, deadline: number): Promise<void> {
    this.#partitionsSeen = performance.now();
    if (await this.#hasPartitions(session, deadline)) return;
    // What was opened may be gone, too.
    this.#jobs.forget();
    await this.#makePartitions(session, await this.open(session, deadline), deadline);
  }

  /** The last one is made last: that it is there says that all are. */
  async #hasPartitions(session: Session, deadline: number): Promise<boolean> {
    return await consumerInfo(this.#call(session, deadline), partitionNames().at(-1)!) !== null;
  }

  async #makePartitions(session: Session, { lease }: OpenQueue, deadline: number): Promise<void> {
    const names = partitionNames();
    const last = names.pop()!;
    const call = this.#call(session, deadline);
    const others = await consumerInfos(call);
    // If the whole queue is paused, so are they.
    const pause_until = others.every(({ paused }) => paused) ? others[0]?.config.pause_until : undefined;
    const ensure = (name: string, partition: number) => {
      const config = consumerConfig(name, this.#names.keyed(partition, "*"), lease);
      return ensureConsumer(call, { ...config, max_ack_pending: 1, pause_until });
    };
    await Promise.all(names.map(ensure));
    await ensure(last, names.length);
    // Workers that are there already are to serve them.
    session.send(this.#names.changed, "");
  }

  async #openJobs(session: Session, deadline: number): Promise<OpenQueue> {
    this.#jobsSeen = performance.now();
    const { lease, dedupe } = this.#options;
    const schedules = session.server.atLeast("2.12");
    const wanted: StreamConfig = {
      name: this.#names.stream,
      subjects: this.#names.subjects(),
      retention: "workqueue",
      storage: "file",
      discard: "old",
      num_replicas: this.#options.replicas ?? this.#context.settings.replicas(),
      max_msgs_per_subject: -1,
      duplicate_window: nanoseconds(Math.max(dedupe ?? 0, REPEAT_WINDOW)),
      allow_direct: true,
      ...(schedules && { allow_msg_schedules: true, allow_atomic: true }),
      metadata: { [META.lease]: String(lease ?? DEFAULT_LEASE), [META.dedupe]: String(dedupe ?? 0) },
    };
    const { config } = await openStream(session, wanted, (present) => {
      if (present.retention !== "workqueue" || !present.subjects?.includes(this.#names.readyFilter("normal"))) {
        throw new JetStreamStoreError(
          "wrong_kind",
          `The stream ${wanted.name} is no queue of this library: choose another name, or remove it`,
        );
      }
      const change: Partial<StreamConfig> = {};
      const metadata = { ...present.metadata };
      if (lease !== undefined) metadata[META.lease] = String(lease);
      if (dedupe !== undefined) metadata[META.dedupe] = String(dedupe);
      if (dedupe !== undefined && present.duplicate_window !== wanted.duplicate_window) {
        change.duplicate_window = wanted.duplicate_window;
      }
      const labels = Object.keys(metadata).filter((name) => metadata[name] !== present.metadata?.[name]);
      if (labels.length > 0) change.metadata = metadata;
      if (schedules && !present.allow_msg_schedules) {
        Object.assign(change, { allow_msg_schedules: true, allow_atomic: true });
      }
      if (Object.keys(change).length === 0) return null;
      const settings = Object.keys(change).flatMap((name) => name === "metadata" ? labels : name).join(", ");
      this.#context.logger.info(`The settings of queue ${this.#names.queue} change: ${settings}`);
      return change;
    }, deadline);
    // The server goes by what its consumers say, whatever stands with the queue.
    if (lease !== undefined) {
      const ack_wait = nanoseconds(lease);
      const adjust = ({ config }: ConsumerInfo) => config.ack_wait === ack_wait ? null : { ack_wait };
      await adjustConsumers(this.#call(session, deadline), adjust);
    }
    return inForce(config);
  }

  async #openDead(session: Session, deadline: number): Promise<unknown> {
    const { deadLetterTtl } = this.#options;
    // As safe as the jobs, whoever opens it.
    const { replicas } = await this.open(session, deadline);
    const wanted: StreamConfig = {
      name: this.#names.deadStream,
      subjects: [this.#names.deadFilter],
      retention: "limits",
      storage: "file",
      discard: "old",
      num_replicas: replicas,
      max_msgs_per_subject: 1,
      max_age: nanoseconds(deadLetterTtl ?? DEFAULT_DEAD_LETTER_TTL),
      allow_direct: true,
    };
    return await openStream(session, wanted, (present) => {
      if (deadLetterTtl === undefined || present.max_age === wanted.max_age) return null;
      this.#context.logger.info(
        `Dead letters of queue ${this.#names.queue} are kept for ${deadLetterTtl} ms from now on, instead of ${
          milliseconds(present.max_age)
        } ms`,
      );
      // The server takes no window that is longer than the messages live.
      const duplicate_window = Math.min(present.duplicate_window ?? 0, wanted.max_age!);
      return { max_age: wanted.max_age, duplicate_window };
    }, deadline);
  }
}

function inForce({ metadata, num_replicas }: StreamConfig): OpenQueue {
  return {
    lease: Number(metadata?.[META.lease]) || DEFAULT_LEASE,
    dedupe: Number(metadata?.[META.dedupe]) > 0,
    replicas: num_replicas ?? 1,
  };
}
