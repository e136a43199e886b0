import { type Call, callWithin } from "../../wire/call.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import { ErrorCode, isServerError, orElsePermission } from "../../wire/api.ts";
import type { Context } from "../../wire/context.ts";
import { nanoseconds } from "../../wire/durations.ts";
import { Once } from "../../wire/once.ts";
import type { Session } from "../../wire/session.ts";
import { openStream, type StreamConfig, type StreamInfo, streamInfo } from "../../wire/streams.ts";
import { adjustConsumers, consumerConfig, type ConsumerInfo, ensureConsumer } from "./durable_consumer.ts";
import { DeadLetterStream } from "./_dead_letter_stream.ts";
import { PartitionConsumers } from "./_partition_consumers.ts";
import { checkFits, PublishRoom } from "./_publish_room.ts";
import { PRIORITIES, type QueueNames } from "../format/queue_names.ts";
import { DEFAULT_LEASE_MS, type QueueOptions } from "./queue_options.ts";
import { isJobStream, LEASE_LABEL, notOfQueue, queueLabel } from "./stream_kinds.ts";
import { StreamUpdates } from "./_stream_updates.ts";

/** Milliseconds for which message ids are remembered when the queue has no `dedupe` window: enough for the repeats of an unconfirmed publish. */
const DUPLICATE_WINDOW_MS = 30_000;

/** Milliseconds after which what is in force is looked for again. */
const CHECK_INTERVAL_MS = 1_000;

/** The stream's metadata under which the queue's options stand. */
const META = { dedupe: "supercheck-dedupe", lease: LEASE_LABEL } as const;

/** The durable consumers of a new queue, which are made once for all handles that find them missing at the same time. */
class NewConsumers {
  making: Once<void> | null = null;
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
  readonly #jobs: Once<OpenQueue> = new Once((call) => this.#openJobs(call));
  readonly #deadLetters: DeadLetterStream;
  readonly partitions: PartitionConsumers;
  /** When what is in force was last looked for, by `performance.now()`. */
  #jobsSeen = -Infinity;
  readonly #updates: StreamUpdates;
  /** In which session it was looked at without being opened. */
  #seenIn: Session | null = null;
  /** Room for publishes, and for retries. */
  readonly room: PublishRoom;

  constructor(context: Context, names: QueueNames, options: QueueOptions) {
    this.#context = context;
    this.#names = names;
    this.#options = options;
    this.room = new PublishRoom(names.stream);
    this.#updates = new StreamUpdates(names.stream);
    const replicasOf = async (call: Call) => (await this.existing(call)).replicas;
    this.#deadLetters = new DeadLetterStream(context, names, options, replicasOf);
    this.partitions = new PartitionConsumers({
      names,
      leaseOf: async (call) => (await this.existing(call)).lease,
      reopen: async (call) => {
        this.#jobs.forget();
        return (await this.open(call)).lease;
      },
    }, context.logger);
  }

  /** Bytes that each stream of the queue may have; `-1`: no limit. */
  get maxBytes(): number {
    return this.#options.maxBytes ?? this.#context.settings.maxBytes() ?? -1;
  }

  /** The stream of the jobs; opened once. A caller that opens it with a lease sets that in the existing durable consumers. */
  open(call: Call): Promise<OpenQueue> {
    const opened = this.opened(call.session);
    return opened ? Promise.resolve(opened) : this.#jobs.get(call);
  }

  /**
   * What is in force, for whoever works for the queue: a queue that was destroyed is not made again for the end of a run.
   *
   * @throws {Unavailable} `no_responders`, if there is no such queue.
   */
  async existing(call: Call): Promise<OpenQueue> {
    const opened = this.opened(call.session);
    if (opened) return opened;
    const info = await this.#look(call);
    if (!info) throw new Unavailable("no_responders", `There is no queue ${this.#names.queue}`);
    return inForce(info.config);
  }

  /** What is in force, once the stream of the jobs is open; looked for again now and then, since others may change it. */
  opened(session: Session): OpenQueue | null {
    const opened = this.#jobs.value;
    this.#noteUpdates(session);
    if (opened && performance.now() - this.#jobsSeen >= CHECK_INTERVAL_MS) this.#lookAtSettings(session, opened);
    return opened;
  }

  /** The stream of the dead letters; opened once. */
  openDeadLetters(call: Call): Promise<unknown> {
    return this.#deadLetters.open(call);
  }

  /** Whether the stream has no limit that matters to publishes, as far as the server has reported. */
  isUnlimited(session: Session): boolean {
    this.#noteUpdates(session);
    return this.room.isUnlimited;
  }

  /**
   * Publishes messages if the stream has room for them.
   *
   * @param bytes Their subjects, headers and data.
   * @throws {JetStreamStoreError} `limits`, if it has none.
   */
  publishWithin<R>(
    call: Call,
    bytes: number,
    messages: number,
    publish: () => Promise<R>,
  ): Promise<R> {
    if (this.isUnlimited(call.session)) return publish();
    return this.room.during(bytes, messages, () => this.#look(call), publish);
  }

  /**
   * Looks once in each session whether the stream in which nothing was found keeps the jobs of this queue.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if there is one that does not.
   */
  async checkKind(call: Call): Promise<void> {
    if (this.#jobs.value || this.#seenIn === call.session) return;
    // Who may not ask looks jobs up all the same.
    await orElsePermission(null, this.#look(call));
    this.#seenIn = call.session;
  }

  /** Looks again at the next use: a stream was found missing, or the server is another. */
  forget(): void {
    this.#jobs.forget();
    this.#deadLetters.forget();
    this.partitions.forget();
  }

  /** The durable consumers of the priorities; with the stream, if others removed that since it was opened. */
  async openConsumers(call: Call): Promise<void> {
    try {
      await this.#openConsumers(call);
    } catch (error) {
      if (!isServerError(error, ErrorCode.streamNotFound)) throw error;
      this.forget();
      await this.#openConsumers(call);
    }
  }

  async #openConsumers(call: Call): Promise<void> {
    await this.#ensureConsumers(call, await this.open(call));
  }

  async #ensureConsumers(call: Call, { lease }: OpenQueue): Promise<void> {
    const configs = PRIORITIES.map((priority) => consumerConfig(priority, this.#names.readyFilter(priority), lease));
    await Promise.all(configs.map((config) => ensureConsumer(call, this.#names, config)));
  }

  /** Makes the durable consumers of a queue that has none, so that its depth is seen before a worker comes. A producer may lack the permission. */
  async #makeConsumers(call: Call, opened: OpenQueue, isNew: boolean): Promise<void> {
    try {
      await this.#ensureConsumers(call, opened);
    } catch {
      // The first worker makes them.
    }
    // Workers may wait for the queue to be made again.
    if (isNew) call.session.send(this.#names.changed, "");
  }

  /** What is known of the stream's limits counts no longer once the stream was changed. */
  #noteUpdates(session: Session): void {
    if (!this.#updates.changed(session)) return;
    this.room.expire();
    this.#jobsSeen = -Infinity;
  }

  async #lookAtSettings(session: Session, before: OpenQueue): Promise<void> {
    try {
      const info = await this.#look(callWithin(session, this.#context.timeout));
      if (info) this.#jobs.renew(before, inForce(info.config));
    } catch {
      // The next call that opens the queue reports the failure.
    }
  }

  async #look(call: Call): Promise<StreamInfo | null> {
    this.#jobsSeen = performance.now();
    const info = await streamInfo(call, this.#names.stream);
    if (!info) return null;
    if (!isJobStream(info.config, this.#names)) throw notOfQueue(info.config.name, "the jobs", this.#names);
    this.room.note(info);
    return info;
  }

  async #openJobs(call: Call): Promise<OpenQueue> {
    this.#jobsSeen = performance.now();
    const { lease, dedupe = 0 } = this.#options;
    call.session.server.require("2.12", "A work queue");
    const wanted = this.#wanted();
    let isNew = true;
    const change = (present: StreamConfig, info: StreamInfo) => {
      isNew = false;
      return this.#change(wanted, present, info.state.bytes);
    };
    const info = await openStream(call, wanted, change, nanoseconds(dedupe));
    this.room.note(info);
    if (info.state.consumer_count < PRIORITIES.length) {
      const consumers = this.#context.shared.of(NewConsumers, this.#names.stream);
      consumers.making ??= new Once((call) => this.#makeConsumers(call, inForce(info.config), isNew));
      await consumers.making.get(call).finally(() => consumers.making = null);
    }
    // The lease in force is the consumers' ack wait, not the label in the stream's metadata.
    if (lease !== undefined) {
      const ack_wait = nanoseconds(lease);
      const adjust = ({ config }: ConsumerInfo) => config.ack_wait === ack_wait ? null : { ack_wait };
      await adjustConsumers(call, this.#names, adjust);
    }
    return inForce(info.config);
  }

  #wanted(): StreamConfig {
    const { lease = DEFAULT_LEASE_MS, dedupe = 0, replicas } = this.#options;
    return {
      name: this.#names.stream,
      subjects: this.#names.subjects(),
      retention: "workqueue",
      storage: "file",
      discard: "old",
      num_replicas: replicas ?? this.#context.settings.replicas(),
      max_msgs_per_subject: -1,
      max_bytes: this.maxBytes,
      duplicate_window: nanoseconds(Math.max(dedupe, DUPLICATE_WINDOW_MS)),
      allow_direct: true,
      allow_msg_schedules: true,
      allow_atomic: true,
      metadata: { ...queueLabel(this.#names), [META.lease]: String(lease), [META.dedupe]: String(dedupe) },
    };
  }

  /**
   * What is to change of a stream that is there.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if it is no queue; `limits`, if its jobs are larger than the wanted size.
   */
  #change(wanted: StreamConfig, present: StreamConfig, bytes: number): Partial<StreamConfig> | null {
    const { lease, dedupe, maxBytes } = this.#options;
    if (!isJobStream(present, this.#names)) throw notOfQueue(wanted.name, "the jobs", this.#names);
    const change: Partial<StreamConfig> = {};
    const metadata = { ...present.metadata };
    if (lease !== undefined) metadata[META.lease] = String(lease);
    if (dedupe !== undefined) metadata[META.dedupe] = String(dedupe);
    if (dedupe !== undefined && present.duplicate_window !== wanted.duplicate_window) {
      change.duplicate_window = wanted.duplicate_window;
    }
    if (maxBytes !== undefined && present.max_bytes !== maxBytes) {
      checkFits(this.#names, maxBytes, bytes);
      change.max_bytes = maxBytes;
    }
    const labels = Object.keys(metadata).filter((name) => metadata[name] !== present.metadata?.[name]);
    if (labels.length > 0) change.metadata = metadata;
    if (!present.allow_msg_schedules) {
      Object.assign(change, { allow_msg_schedules: true, allow_atomic: true });
    }
    if (Object.keys(change).length === 0) return null;
    const settings = Object.keys(change).flatMap((name) => name === "metadata" ? labels : name).join(", ");
    this.#context.logger.info(`The settings of queue ${this.#names.queue} change: ${settings}`);
    return change;
  }
}

function inForce({ metadata, num_replicas }: StreamConfig): OpenQueue {
  return {
    lease: Number(metadata?.[META.lease]) || DEFAULT_LEASE_MS,
    dedupe: Number(metadata?.[META.dedupe]) > 0,
    replicas: num_replicas ?? 1,
  };
}
