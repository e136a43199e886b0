import { Unavailable } from "../../connection/unavailable.ts";
import { ErrorCode, isServerError, orElsePermission } from "../../wire/api.ts";
import type { Context } from "../../wire/context.ts";
import { nanoseconds } from "../../wire/durations.ts";
import { Once } from "../../wire/once.ts";
import type { Session } from "../../wire/session.ts";
import { openStream, type StreamConfig, type StreamInfo, streamInfo } from "../../wire/streams.ts";
import { adjustConsumers, consumerConfig, type ConsumerInfo, ensureConsumer } from "./durable_consumer.ts";
import { DeadLetterStream } from "./dead_letter_stream.ts";
import { PartitionConsumers } from "./partition_consumers.ts";
import { checkFits, PublishRoom } from "./publish_room.ts";
import type { QueueCall } from "./queue_call.ts";
import { PRIORITIES, type QueueNames } from "../format/queue_names.ts";
import { DEFAULT_LEASE, type QueueOptions } from "./queue_options.ts";
import { sharedPerSession } from "./shared_per_session.ts";
import { isJobStream, LEASE_LABEL, notOfQueue, queueLabel } from "./stream_kinds.ts";
import { StreamUpdates } from "./stream_updates.ts";

/** Milliseconds for which message ids are remembered when the queue has no `dedupe` window: enough for the repeats of an unconfirmed publish. */
const REPEAT_WINDOW = 30_000;

/** Milliseconds after which what is in force is looked for again. */
const LOOK_AGAIN = 1_000;

/** The stream's metadata under which the queue's options stand. */
const META = { dedupe: "supercheck-dedupe", lease: LEASE_LABEL } as const;

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
  readonly #deadLetters: DeadLetterStream;
  readonly #partitions: PartitionConsumers;
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
    const replicasOf = async (session: Session, deadline: number) => (await this.existing(session, deadline)).replicas;
    this.#deadLetters = new DeadLetterStream(context, names, options, replicasOf);
    this.#partitions = new PartitionConsumers({
      call: (session, deadline) => this.#call(session, deadline),
      leaseOf: async (session, deadline) => (await this.existing(session, deadline)).lease,
      reopen: async (session, deadline) => {
        this.#jobs.forget();
        return (await this.open(session, deadline)).lease;
      },
    }, context.logger);
  }

  /** Bytes that each stream of the queue may have; `-1`: no limit. */
  get maxBytes(): number {
    return this.#options.maxBytes ?? this.#context.settings.maxBytes() ?? -1;
  }

  /** The stream of the jobs; opened once. Whoever opens it with a lease gives that to the durable consumers that there are. */
  open(session: Session, deadline: number): Promise<OpenQueue> {
    const opened = this.opened(session);
    return opened ? Promise.resolve(opened) : this.#jobs.get(session, deadline);
  }

  /**
   * What is in force, for whoever works for the queue: a queue that was destroyed is not made again for the end of a run.
   *
   * @throws {Unavailable} `no_responders`, if there is no such queue.
   */
  async existing(session: Session, deadline: number): Promise<OpenQueue> {
    const opened = this.opened(session);
    if (opened) return opened;
    const info = await this.#look(session, deadline);
    if (!info) throw new Unavailable("no_responders", `There is no queue ${this.#names.queue}`);
    return inForce(info.config);
  }

  /** What is in force, once the stream of the jobs is open; looked for again now and then, since others may change it. */
  opened(session: Session): OpenQueue | null {
    const opened = this.#jobs.value;
    this.#noteUpdates(session);
    if (opened && performance.now() - this.#jobsSeen >= LOOK_AGAIN) this.#lookAtSettings(session, opened);
    return opened;
  }

  /** The stream of the dead letters; opened once. */
  openDeadLetters(session: Session, deadline: number): Promise<unknown> {
    return this.#deadLetters.open(session, deadline);
  }

  /** Whether the stream has no limit that matters to publishes, as far as the server has told. */
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
    { session, deadline }: { session: Session; deadline: number },
    bytes: number,
    messages: number,
    publish: () => Promise<R>,
  ): Promise<R> {
    if (this.isUnlimited(session)) return publish();
    return this.room.during(bytes, messages, () => this.#look(session, deadline), publish);
  }

  /**
   * Looks once in each session whether the stream in which nothing was found keeps the jobs of this queue.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if there is one that does not.
   */
  async checkKind({ session, deadline }: QueueCall): Promise<void> {
    if (this.#jobs.value || this.#seenIn === session) return;
    // Who may not ask looks jobs up all the same.
    await orElsePermission(null, this.#look(session, deadline));
    this.#seenIn = session;
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
    await this.#ensureConsumers(session, await this.open(session, deadline), deadline);
  }

  async #ensureConsumers(session: Session, { lease }: OpenQueue, deadline: number): Promise<void> {
    const call = this.#call(session, deadline);
    const configs = PRIORITIES.map((priority) => consumerConfig(priority, this.#names.readyFilter(priority), lease));
    await Promise.all(configs.map((config) => ensureConsumer(call, config)));
  }

  /** Makes the durable consumers of a queue that has none, so that its depth is seen before a worker comes. A producer may lack the permission. */
  async #makeConsumers(session: Session, opened: OpenQueue, isNew: boolean, deadline: number): Promise<void> {
    try {
      await this.#ensureConsumers(session, opened, deadline);
    } catch {
      // The first worker makes them.
    }
    // Workers may wait for the queue to be made again.
    if (isNew) session.send(this.#names.changed, "");
  }

  /** The durable consumers of the partitions; opened once. */
  openPartitions(session: Session, deadline: number): Promise<void> {
    return this.#partitions.open(session, deadline);
  }

  #call(session: Session, deadline: number): QueueCall {
    return { session, deadline, names: this.#names, stream: this };
  }

  /** What is known of the stream's limits counts no longer once the stream was changed. */
  #noteUpdates(session: Session): void {
    if (!this.#updates.changed(session)) return;
    this.room.expire();
    this.#jobsSeen = -Infinity;
  }

  async #lookAtSettings(session: Session, before: OpenQueue): Promise<void> {
    try {
      const info = await this.#look(session, performance.now() + this.#context.timeout);
      if (info) this.#jobs.renew(before, inForce(info.config));
    } catch {
      // Who needs the queue meets the reason.
    }
  }

  async #look(session: Session, deadline: number): Promise<StreamInfo | null> {
    this.#jobsSeen = performance.now();
    const info = await streamInfo(session, this.#names.stream, deadline);
    if (!info) return null;
    if (!isJobStream(info.config, this.#names)) throw notOfQueue(info.config.name, "the jobs", this.#names);
    this.room.note(info);
    return info;
  }

  async #openJobs(session: Session, deadline: number): Promise<OpenQueue> {
    this.#jobsSeen = performance.now();
    const { lease, dedupe = 0 } = this.#options;
    const wanted = this.#wanted(session.server.atLeast("2.12"));
    let isNew = true;
    const change = (present: StreamConfig, info: StreamInfo) => {
      isNew = false;
      return this.#change(wanted, present, info.state.bytes);
    };
    const info = await openStream(session, wanted, change, deadline, nanoseconds(dedupe));
    this.room.note(info);
    if (info.state.consumer_count < PRIORITIES.length) {
      const make = () => this.#makeConsumers(session, inForce(info.config), isNew, deadline);
      await sharedPerSession(session, this.#names.stream, make);
    }
    // The server goes by what its consumers say, whatever stands with the queue.
    if (lease !== undefined) {
      const ack_wait = nanoseconds(lease);
      const adjust = ({ config }: ConsumerInfo) => config.ack_wait === ack_wait ? null : { ack_wait };
      await adjustConsumers(this.#call(session, deadline), adjust);
    }
    return inForce(info.config);
  }

  /** @param schedules Whether the server has them. */
  #wanted(schedules: boolean): StreamConfig {
    const { lease = DEFAULT_LEASE, dedupe = 0, replicas } = this.#options;
    return {
      name: this.#names.stream,
      subjects: this.#names.subjects(),
      retention: "workqueue",
      storage: "file",
      discard: "old",
      num_replicas: replicas ?? this.#context.settings.replicas(),
      max_msgs_per_subject: -1,
      max_bytes: this.maxBytes,
      duplicate_window: nanoseconds(Math.max(dedupe, REPEAT_WINDOW)),
      allow_direct: true,
      ...(schedules && { allow_msg_schedules: true, allow_atomic: true }),
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
    if (wanted.allow_msg_schedules && !present.allow_msg_schedules) {
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
    lease: Number(metadata?.[META.lease]) || DEFAULT_LEASE,
    dedupe: Number(metadata?.[META.dedupe]) > 0,
    replicas: num_replicas ?? 1,
  };
}
