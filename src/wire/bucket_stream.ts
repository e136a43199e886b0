import type { AttemptOptions } from "../connection/connection.ts";
import { settledWithin } from "../connection/delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { BucketOptions } from "./bucket_options.ts";
import { BucketReader } from "./bucket_reader.ts";
import type { Context } from "./context.ts";
import { milliseconds, nanoseconds } from "./durations.ts";
import { listingStep } from "./listing.ts";
import { KnownRevisions } from "./known_revisions.ts";
import type { Session } from "./session.ts";
import { deleteStream, openStream, type StreamConfig, type StreamInfo, streamInfo } from "./streams.ts";

/** Longest time for which the server remembers message ids, in milliseconds. */
const DUPLICATE_WINDOW = 120_000;

/** What the server leaves out of a configuration. */
const UNSAID: Partial<StreamConfig> = { description: "", compression: "none" };

/** What one kind of buckets has of its own. */
export interface BucketKind {
  /** What it is called, for instance "object bucket". */
  kind: string;
  stream: string;
  subjects: string[];
  /** What a new stream has beyond the common. */
  wanted?: Partial<StreamConfig>;
  /** What its own options ask for, also of a stream that is there; `undefined`: nothing. */
  given?: Partial<StreamConfig>;
  /** Whether the rest of a stream's configuration is one of this kind. */
  fits?: (config: StreamConfig) => boolean;
}

/** The stream under a bucket: made and adjusted before the first write, and looked at once. */
export class BucketStream {
  readonly name: string;
  /** The bucket's name. */
  readonly bucket: string;
  /** What it is, for messages. */
  readonly what: string;
  readonly context: Context;
  /** What this process knows of its revisions, by whichever handle. */
  readonly known: KnownRevisions;
  /** Reads its messages. */
  readonly reader: BucketReader;
  readonly #waiting: AttemptOptions;
  readonly #kind: BucketKind;
  readonly #options: BucketOptions;
  /** What the options ask for. */
  readonly #given: Partial<StreamConfig>;
  #opening: Promise<StreamConfig> | null = null;
  /** The configuration in force; `null` before {@linkcode BucketStream.open}. */
  config: StreamConfig | null = null;

  constructor(context: Context, bucket: string, options: BucketOptions, kind: BucketKind) {
    this.name = kind.stream;
    this.bucket = bucket;
    this.what = `The bucket "${bucket}"`;
    this.context = context;
    this.known = context.shared.of(KnownRevisions, kind.stream);
    this.reader = new BucketReader(kind.stream, this.known, options.consistency ?? "own");
    this.#waiting = { timeout: context.timeout };
    this.#kind = kind;
    this.#options = options;
    const { ttl, replicas, description, maxBytes, compression } = options;
    this.#given = definedOf({
      max_age: ttl === undefined ? undefined : nanoseconds(ttl),
      num_replicas: replicas,
      description,
      max_bytes: maxBytes,
      compression: compression === undefined ? undefined : compression ? "s2" : "none",
      ...kind.given,
    });
  }

  /** Milliseconds that a message lives, as far as is known. */
  get ttl(): number {
    return milliseconds(this.config?.max_age) || Infinity;
  }

  /** Makes the stream if it is missing, and changes what an option asks for. What calls this at the same time shares it. */
  async open(session: Session, deadline: number): Promise<StreamConfig> {
    for (;;) {
      const opening = this.#opening ??= this.#open(session, deadline).finally(() => this.#opening = null);
      // Who began it may have less time than this call, or more.
      const settled = await settledWithin(opening, deadline - performance.now());
      if (!settled) throw new Unavailable("timeout", `${this.what} is still being opened`);
      try {
        return await opening;
      } catch (error) {
        if (!(error instanceof Unavailable && error.reason === "timeout")) throw error;
      }
    }
  }

  /** What the stream must have, beyond the options, when it is opened from now on. */
  protected demand(config: Partial<StreamConfig>): void {
    Object.assign(this.#given, config);
  }

  /** The stream was found missing, or other than it was: it is looked at again before the next write. */
  forget(): void {
    this.config = null;
  }

  /** The state of the stream; `null` if there is none. */
  async info(session: Session, deadline: number): Promise<StreamInfo | null> {
    const info = await streamInfo(session, this.name, deadline);
    if (info) {
      this.checkKind(info.config);
      this.known.belongTo(info.created);
    }
    return info;
  }

  /** Does something with the bucket; `null` if it cannot be done within the deadline. */
  attempt<T>(
    operation: (session: Session, deadline: number) => Promise<T>,
    repeatable?: () => boolean,
  ): Promise<T | null> {
    return this.context.connection.attempt(operation, repeatable ? { ...this.#waiting, repeatable } : this.#waiting);
  }

  /** {@linkcode listingStep} of this bucket. */
  listingStep<T>(operation: (session: Session, deadline: number) => Promise<T>): Promise<T> {
    return listingStep(this.context, this.what, operation);
  }

  /**
   * Removes the stream; `false` if there was none, and `null` if it is not confirmed.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if it is no bucket of this kind, or keeps other subjects, too.
   */
  async destroy(): Promise<boolean | null> {
    let tried = false;
    return await this.attempt(async (session, deadline) => {
      // What is gone after a try without an answer was there before it, or was not.
      const info = await this.info(session, deadline);
      if (!info) return tried ? null : false;
      if (info.config.subjects?.length !== this.#kind.subjects.length) {
        throw new JetStreamStoreError(
          "wrong_kind",
          `The stream ${this.name} keeps more than the bucket, so it is not removed: take the other subjects off it`,
        );
      }
      tried = true;
      const deleted = await deleteStream(session, this.name, deadline);
      this.known.clear();
      return deleted;
    });
  }

  /**
   * Checks that a stream is a bucket of this kind.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if it is not.
   */
  checkKind(config: StreamConfig): void {
    const { subjects, fits = () => true, kind } = this.#kind;
    const listens = subjects.every((subject) => config.subjects?.includes(subject));
    if (listens && (config.retention ?? "limits") === "limits" && !config.mirror && fits(config)) return;
    throw new JetStreamStoreError(
      "wrong_kind",
      `The stream ${this.name} is ${
        config.mirror ? "the mirror of another bucket" : `no ${kind}`
      }: choose another bucket name, or remove it`,
    );
  }

  async #open(session: Session, deadline: number): Promise<StreamConfig> {
    let before: StreamConfig | undefined;
    const change = (present: StreamConfig) => this.#change(before = present);
    const { config, created } = await openStream(session, this.#wanted(), change, deadline);
    this.known.belongTo(created);
    if (before) this.#tellOfTtl(before, config);
    return this.config = config;
  }

  /** What a new bucket is made of, as the official clients make it. */
  #wanted(): StreamConfig {
    const { ttl, storage = "file", replicas = this.context.settings.replicas(), metadata } = this.#options;
    return {
      name: this.name,
      subjects: this.#kind.subjects,
      retention: "limits",
      storage,
      discard: "new",
      num_replicas: replicas,
      max_age: 0,
      max_bytes: this.context.settings.maxBytes() ?? -1,
      max_msgs: -1,
      max_msg_size: -1,
      max_msgs_per_subject: -1,
      max_consumers: -1,
      duplicate_window: nanoseconds(Math.min(ttl || DUPLICATE_WINDOW, DUPLICATE_WINDOW)),
      allow_rollup_hdrs: true,
      allow_direct: true,
      ...this.#kind.wanted,
      ...this.#given,
      ...(metadata !== undefined && { metadata }),
    };
  }

  /** What is to change of a bucket that is there. */
  #change(present: StreamConfig): Partial<StreamConfig> | null {
    this.checkKind(present);
    // A write will be refused, and told why.
    if (present.sealed) return null;
    const { storage, metadata } = this.#options;
    const has: Record<string, unknown> = { ...UNSAID, ...present };
    const change: Partial<StreamConfig> = Object.fromEntries(
      Object.entries(this.#given).filter(([name, value]) => has[name] !== value),
    );
    if (Object.entries(metadata ?? {}).some(([label, value]) => present.metadata?.[label] !== value)) {
      change.metadata = { ...present.metadata, ...metadata };
    }
    // The server does not take a window that is longer than the TTL.
    if (change.max_age && (present.duplicate_window ?? 0) > change.max_age) change.duplicate_window = change.max_age;
    if (storage !== undefined && storage !== present.storage) {
      this.context.logger.warn(`${this.what} stays in ${present.storage} storage, which cannot be changed`);
    }
    return Object.keys(change).length > 0 ? change : null;
  }

  #tellOfTtl(before: StreamConfig, now: StreamConfig): void {
    const [was, is] = [milliseconds(before.max_age), milliseconds(now.max_age)];
    if (is !== was) {
      this.context.logger.info(`${this.what} has a TTL of ${is} ms from now on, it was ${was} ms (0: none)`);
    }
  }
}

function definedOf(config: Partial<StreamConfig>): Partial<StreamConfig> {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}
