import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import { milliseconds, nanoseconds } from "../wire/durations.ts";
import type { Session } from "../wire/session.ts";
import { openStream, type StreamConfig, streamInfo, updateStream } from "../wire/streams.ts";
import { decodeKey } from "../wire/tokens.ts";
import type { KvBucketOptions } from "./kv_options.ts";

/** Longest time for which the server remembers message ids, in milliseconds. */
const DUPLICATE_WINDOW = 120_000;

/** The stream under a bucket: made and adjusted before the first write, and looked at once. */
export class KvStream {
  readonly name: string;
  /** What it is, for messages. */
  readonly what: string;
  /** What precedes the key in its subject. */
  readonly prefix: string;
  readonly #context: Context;
  readonly #options: KvBucketOptions;
  #opened: Promise<StreamConfig> | null = null;
  #allowing: Promise<StreamConfig> | null = null;
  /** What `#opened` resolved to. */
  #config: StreamConfig | null = null;

  constructor(context: Context, bucket: string, options: KvBucketOptions) {
    this.name = `KV_${bucket}`;
    this.what = `The bucket "${bucket}"`;
    this.prefix = `$KV.${bucket}.`;
    this.#context = context;
    this.#options = options;
  }

  /** The key of a subject. */
  keyOf(subject: string): string {
    return decodeKey(subject.slice(this.prefix.length));
  }

  /** The configuration in force; makes the stream if it is missing, and changes what an option asks for. Done once. */
  open(session: Session, deadline: number): Promise<StreamConfig> {
    this.#opened ??= this.#open(session, deadline).catch((error) => {
      this.#opened = null;
      throw error;
    });
    return this.#opened;
  }

  /** {@linkcode KvStream.open}, and from then on messages may have a TTL of their own. */
  async openWithTtl(session: Session, deadline: number): Promise<StreamConfig> {
    session.server.require("2.11", "The TTL of a single key");
    const config = await this.open(session, deadline);
    if (config.allow_msg_ttl) return config;
    this.#allowing ??= this.#allowTtl(session, deadline).finally(() => this.#allowing = null);
    return await this.#allowing;
  }

  /** The stream was found missing, or other than `known`: it is looked at again before the next write. */
  forget(known: StreamConfig): void {
    if (this.#config !== known) return;
    this.#config = null;
    this.#opened = null;
  }

  /**
   * Checks that a stream is a bucket.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if it is not.
   */
  checkKind(config: StreamConfig): void {
    const listens = config.subjects?.includes(`${this.prefix}>`) === true;
    const keeps = (config.retention ?? "limits") === "limits" && (config.max_msgs_per_subject ?? -1) >= 1;
    if (listens && keeps && !config.mirror) return;
    throw new JetStreamStoreError(
      "wrong_kind",
      `The stream ${this.name} is ${
        config.mirror ? "the mirror of another bucket" : "no key-value bucket"
      }: choose another bucket name, or remove it`,
    );
  }

  async #open(session: Session, deadline: number): Promise<StreamConfig> {
    const info = await openStream(session, this.#wanted(), (present) => this.#adjust(present), deadline);
    return this.#config = info.config;
  }

  async #allowTtl(session: Session, deadline: number): Promise<StreamConfig> {
    const info = await streamInfo(session, this.name, deadline);
    if (!info) throw new Unavailable("no_responders", `The stream ${this.name} has gone`);
    const { config } = info.config.allow_msg_ttl
      ? info
      // No markers for what expires (subject_delete_marker_ttl): clients that do not know them would read them as empty values.
      : await updateStream(session, { ...info.config, allow_msg_ttl: true }, deadline);
    this.#opened = Promise.resolve(config);
    return this.#config = config;
  }

  /** What a new bucket is made of, as the official clients make it. */
  #wanted(): StreamConfig {
    const { ttl = 0, history = 1, storage = "file", replicas = this.#context.settings.replicas() } = this.#options;
    const { description, metadata, maxBytes = -1, maxValueSize = -1, compression = false } = this.#options;
    return {
      name: this.name,
      subjects: [`${this.prefix}>`],
      retention: "limits",
      storage,
      discard: "new",
      num_replicas: replicas,
      max_age: nanoseconds(ttl),
      max_bytes: maxBytes,
      max_msgs: -1,
      max_msg_size: maxValueSize,
      max_msgs_per_subject: history,
      max_consumers: -1,
      duplicate_window: nanoseconds(Math.min(ttl || DUPLICATE_WINDOW, DUPLICATE_WINDOW)),
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_direct: true,
      ...(compression && { compression: "s2" }),
      ...(description !== undefined && { description }),
      ...(metadata !== undefined && { metadata }),
    };
  }

  /** What the options change of a bucket that is there. */
  #adjust(present: StreamConfig): Partial<StreamConfig> | null {
    this.checkKind(present);
    const { ttl, history, storage, replicas, description, metadata, maxBytes, maxValueSize, compression } =
      this.#options;
    const wanted: Partial<StreamConfig> = {
      ...(ttl !== undefined && { max_age: nanoseconds(ttl) }),
      ...(history !== undefined && { max_msgs_per_subject: history }),
      ...(replicas !== undefined && { num_replicas: replicas }),
      ...(description !== undefined && { description }),
      ...(maxBytes !== undefined && { max_bytes: maxBytes }),
      ...(maxValueSize !== undefined && { max_msg_size: maxValueSize }),
      ...(compression !== undefined && { compression: compression ? "s2" : "none" }),
    };
    const labels = Object.entries(metadata ?? {}).filter(([name, value]) => present.metadata?.[name] !== value);
    const change: Partial<StreamConfig> = Object.fromEntries(
      Object.entries(wanted).filter(([name, value]) => present[name as keyof StreamConfig] !== value),
    );
    if (labels.length > 0) change.metadata = { ...present.metadata, ...Object.fromEntries(labels) };
    if (change.max_age !== undefined) this.#adjustTtl(change.max_age, present, change);
    if (storage !== undefined && storage !== present.storage) {
      this.#context.logger.warn(
        `${this.what} stays in ${present.storage} storage, which cannot be changed`,
      );
    }
    return Object.keys(change).length > 0 ? change : null;
  }

  #adjustTtl(maxAge: number, present: StreamConfig, change: Partial<StreamConfig>): void {
    // The server does not take a window that is longer than the TTL.
    if (maxAge > 0 && (present.duplicate_window ?? 0) > maxAge) change.duplicate_window = maxAge;
    this.#context.logger.info(
      `${this.what} has a TTL of ${milliseconds(maxAge)} ms from now on, it was ${
        milliseconds(present.max_age)
      } ms (0: none)`,
    );
  }
}
