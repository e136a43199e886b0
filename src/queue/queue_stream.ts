import { JetStreamStoreError } from "../errors.ts";
import { api, ErrorCode, isServerError } from "../wire/api.ts";
import type { Context } from "../wire/context.ts";
import { milliseconds, nanoseconds } from "../wire/durations.ts";
import type { Session } from "../wire/session.ts";
import { openStream, type StreamConfig, streamInfo } from "../wire/streams.ts";
import { partitionNames, PRIORITIES, type QueueNames } from "./queue_names.ts";
import { DEFAULT_DEAD_LETTER_TTL, DEFAULT_LEASE, type QueueOptions } from "./queue_options.ts";

/** Milliseconds for which message ids are remembered when the queue has no `dedupe` window: enough for the repeats of an unconfirmed publish. */
const REPEAT_WINDOW = 30_000;

/** The stream's metadata under which the queue's options stand. */
const META = { dedupe: "supercheck-dedupe", lease: "supercheck-lease" } as const;

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
  pause_until?: string;
}

/** The state of a durable consumer. */
export interface ConsumerInfo {
  name: string;
  config: ConsumerConfig;
  /** The server's time. */
  ts: string;
  delivered: { stream_seq: number };
  /** Up to where it takes all as acknowledged. */
  ack_floor: { stream_seq: number };
  num_ack_pending: number;
  num_pending: number;
  paused?: boolean;
}

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
  #open: Promise<OpenQueue> | null = null;
  #deadLetters: Promise<unknown> | null = null;
  #partitions: Promise<unknown> | null = null;

  constructor(context: Context, names: QueueNames, options: QueueOptions) {
    this.#context = context;
    this.#names = names;
    this.#options = options;
  }

  /** The stream of the jobs; opened once. */
  open(session: Session, deadline: number): Promise<OpenQueue> {
    this.#open ??= this.#openJobs(session, deadline).catch((error) => {
      this.#open = null;
      throw error;
    });
    return this.#open;
  }

  /** The stream of the dead letters; opened once. */
  openDeadLetters(session: Session, deadline: number): Promise<unknown> {
    this.#deadLetters ??= this.#openDead(session, deadline).catch((error) => {
      this.#deadLetters = null;
      throw error;
    });
    return this.#deadLetters;
  }

  /** Looks again at the next use: a stream was found missing, or the server is another. */
  forget(): void {
    this.#open = null;
    this.#deadLetters = null;
    this.#partitions = null;
  }

  /** The durable consumers of the priorities. */
  async openConsumers(session: Session, deadline: number): Promise<void> {
    const { lease } = await this.open(session, deadline);
    await Promise.all(
      PRIORITIES.map((priority) =>
        this.#openConsumer(session, priority, this.#names.readyFilter(priority), lease, -1, deadline)
      ),
    );
  }

  /** The durable consumers of the partitions, with one unacknowledged job each, which keeps the order; opened once. */
  openPartitions(session: Session, deadline: number): Promise<unknown> {
    this.#partitions ??= this.#openAllPartitions(session, deadline).catch((error) => {
      this.#partitions = null;
      throw error;
    });
    return this.#partitions;
  }

  /** The state of a durable consumer, or `null` if there is none. */
  async consumerInfo(session: Session, name: string, deadline: number): Promise<ConsumerInfo | null> {
    try {
      return await api<ConsumerInfo>(session, `CONSUMER.INFO.${this.#names.stream}.${name}`, undefined, deadline);
    } catch (error) {
      if (isServerError(error, ErrorCode.consumerNotFound) || isServerError(error, ErrorCode.streamNotFound)) {
        return null;
      }
      throw error;
    }
  }

  /** Replaces the configuration of a durable consumer that exists. */
  updateConsumer(session: Session, config: ConsumerConfig, deadline: number): Promise<ConsumerInfo> {
    return this.#writeConsumer(session, config, "update", deadline);
  }

  async #openAllPartitions(session: Session, deadline: number): Promise<void> {
    const { lease } = await this.open(session, deadline);
    const last = partitionNames().at(-1)!;
    if (await this.consumerInfo(session, last, deadline)) return;
    const others = await Promise.all(PRIORITIES.map((priority) => this.consumerInfo(session, priority, deadline)));
    // If the whole queue is paused, so are they.
    const paused = others.every((info) => info?.paused) ? others[0]?.config.pause_until : undefined;
    const open = (name: string, partition: number) =>
      this.#openConsumer(session, name, this.#names.keyed(partition, "*"), lease, 1, deadline, paused);
    const names = partitionNames();
    await Promise.all(names.slice(0, -1).map(open));
    // The last one is made last: that it is there says that all are.
    await open(last, names.length - 1);
    // Workers that are there already are to serve them.
    session.send(this.#names.changed, "");
  }

  async #openJobs(session: Session, deadline: number): Promise<OpenQueue> {
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
      if (Object.entries(metadata).some(([name, value]) => present.metadata?.[name] !== value)) {
        change.metadata = metadata;
      }
      if (schedules && !present.allow_msg_schedules) {
        Object.assign(change, { allow_msg_schedules: true, allow_atomic: true });
      }
      if (Object.keys(change).length === 0) return null;
      this.#context.logger.info(`The settings of queue ${this.#names.queue} change: ${Object.keys(change).join(", ")}`);
      return change;
    }, deadline);
    return {
      lease: Number(config.metadata?.[META.lease]) || DEFAULT_LEASE,
      dedupe: Number(config.metadata?.[META.dedupe]) > 0,
      replicas: config.num_replicas ?? 1,
    };
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

  async #openConsumer(
    session: Session,
    name: string,
    filter: string,
    lease: number,
    maxAckPending: number,
    deadline: number,
    pausedUntil?: string,
  ): Promise<void> {
    const wanted: ConsumerConfig = {
      durable_name: name,
      ack_policy: "explicit",
      ack_wait: nanoseconds(lease),
      max_deliver: -1,
      max_ack_pending: maxAckPending,
      filter_subject: filter,
      deliver_policy: "all",
      replay_policy: "instant",
      ...(pausedUntil !== undefined && { pause_until: pausedUntil }),
    };
    const info = await this.consumerInfo(session, name, deadline);
    if (!info) {
      try {
        await this.#writeConsumer(session, wanted, "create", deadline);
      } catch (error) {
        // Two workers that start together: the other one made it.
        if (!(error instanceof JetStreamStoreError) || !await this.consumerInfo(session, name, deadline)) throw error;
      }
    } else if (this.#options.lease !== undefined && info.config.ack_wait !== wanted.ack_wait) {
      await this.updateConsumer(session, { ...info.config, ack_wait: wanted.ack_wait }, deadline);
    }
  }

  #writeConsumer(
    session: Session,
    config: ConsumerConfig,
    action: "create" | "update",
    deadline: number,
  ): Promise<ConsumerInfo> {
    const { stream } = this.#names;
    const call = `CONSUMER.CREATE.${stream}.${config.durable_name}.${config.filter_subject}`;
    return api<ConsumerInfo>(session, call, { stream_name: stream, config, action }, deadline);
  }
}

/** Whether the queue is there. */
export async function queueExists(session: Session, names: QueueNames, deadline: number): Promise<boolean> {
  return await streamInfo(session, names.stream, deadline) !== null;
}
