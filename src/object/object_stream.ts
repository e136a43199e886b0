import { Buffer } from "node:buffer";
import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import { milliseconds, nanoseconds } from "../wire/durations.ts";
import type { Session } from "../wire/session.ts";
import { openStream, type StreamConfig } from "../wire/streams.ts";
import { encodeObjectName } from "../wire/tokens.ts";
import type { ObjectBucketOptions } from "./object_options.ts";

/** Longest time for which the server remembers message ids, in milliseconds. */
const DUPLICATE_WINDOW = 120_000;

const LATIN_1 = /^[^\u0100-\uffff]*[\u0080-\u00ff][^\u0100-\uffff]*$/;

/** The stream under a bucket: its names, and its configuration, which is made and adjusted before the first write, and looked at once. */
export class ObjectStream {
  readonly name: string;
  readonly bucket: string;
  /** Subjects of all records. */
  readonly records: string;
  readonly #context: Context;
  readonly #options: ObjectBucketOptions;
  #opening: Promise<StreamConfig> | null = null;
  #config: StreamConfig | null = null;

  constructor(context: Context, bucket: string, options: ObjectBucketOptions) {
    this.name = `OBJ_${bucket}`;
    this.bucket = bucket;
    this.records = `$O.${bucket}.M.>`;
    this.#context = context;
    this.#options = options;
  }

  /** Subject of an object's record. */
  record(name: string): string {
    return `$O.${this.bucket}.M.${encodeObjectName(name)}`;
  }

  /** Subject of the same record as the JavaScript clients spell it, if that is another one. */
  latin1Record(name: string): string | undefined {
    if (!LATIN_1.test(name)) return undefined;
    return `$O.${this.bucket}.M.${
      Buffer.from(name, "latin1").toString("base64").replace(/\+/g, "-").replace(/\//g, "_")
    }`;
  }

  /** Subject of an object's pieces. */
  chunks(nuid: string): string {
    return `$O.${this.bucket}.C.${nuid}`;
  }

  /** The configuration in force, once the stream was opened. */
  get config(): StreamConfig | null {
    return this.#config;
  }

  /** Milliseconds that a message lives, as far as is known. */
  get ttl(): number {
    return milliseconds(this.#config?.max_age) || Infinity;
  }

  /** Makes the stream if it is missing, and changes what an option asks for. Done once. */
  open(session: Session, deadline: number): Promise<StreamConfig> {
    this.#opening ??= this.#open(session, deadline).finally(() => this.#opening = null);
    return this.#opening;
  }

  /** The stream was found missing: it is looked at again before the next write. */
  forget(): void {
    this.#config = null;
  }

  /**
   * Checks that a stream is a bucket.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if it is not.
   */
  checkKind(config: StreamConfig): void {
    const { subjects = [], mirror, retention = "limits" } = config;
    const listens = [`$O.${this.bucket}.C.>`, this.records].every((subject) => subjects.includes(subject));
    if (listens && retention === "limits" && !mirror) return;
    throw new JetStreamStoreError(
      "wrong_kind",
      `The stream ${this.name} is ${
        mirror ? "the mirror of another bucket" : "no object bucket"
      }: choose another bucket name, or remove it`,
    );
  }

  async #open(session: Session, deadline: number): Promise<StreamConfig> {
    const info = await openStream(session, this.#wanted(), (present) => this.#adjust(present), deadline);
    return this.#config = info.config;
  }

  /** What a new bucket is made of, as the official clients make it. */
  #wanted(): StreamConfig {
    const { ttl = 0, storage = "file", replicas = this.#context.settings.replicas() } = this.#options;
    const { description, metadata, maxBytes = -1, compression = false } = this.#options;
    return {
      name: this.name,
      subjects: [`$O.${this.bucket}.C.>`, this.records],
      retention: "limits",
      storage,
      discard: "new",
      num_replicas: replicas,
      max_age: nanoseconds(ttl),
      max_bytes: maxBytes,
      max_msgs: -1,
      max_msg_size: -1,
      max_msgs_per_subject: -1,
      max_consumers: -1,
      duplicate_window: nanoseconds(Math.min(ttl || DUPLICATE_WINDOW, DUPLICATE_WINDOW)),
      allow_rollup_hdrs: true,
      allow_direct: true,
      ...(compression && { compression: "s2" }),
      ...(description !== undefined && { description }),
      ...(metadata !== undefined && { metadata }),
    };
  }

  /** What the options change of a bucket that is there. */
  #adjust(present: StreamConfig): Partial<StreamConfig> | null {
    this.checkKind(present);
    // A write will be refused, and told why.
    if (present.sealed) return null;
    const { ttl, storage, replicas, description, metadata, maxBytes, compression } = this.#options;
    const wanted: Partial<StreamConfig> = {
      ...(ttl !== undefined && { max_age: nanoseconds(ttl) }),
      ...(replicas !== undefined && { num_replicas: replicas }),
      ...(description !== undefined && { description }),
      ...(maxBytes !== undefined && { max_bytes: maxBytes }),
      ...(compression !== undefined && { compression: compression ? "s2" : "none" }),
    };
    const change: Partial<StreamConfig> = Object.fromEntries(
      Object.entries(wanted).filter(([name, value]) => present[name as keyof StreamConfig] !== value),
    );
    const labels = Object.entries(metadata ?? {}).filter(([label, value]) => present.metadata?.[label] !== value);
    if (labels.length > 0) change.metadata = { ...present.metadata, ...Object.fromEntries(labels) };
    if (change.max_age !== undefined) this.#adjustTtl(change.max_age, present, change);
    if (storage !== undefined && storage !== present.storage) {
      this.#context.logger.warn(
        `The bucket "${this.bucket}" stays in ${present.storage} storage, which cannot be changed`,
      );
    }
    return Object.keys(change).length > 0 ? change : null;
  }

  #adjustTtl(maxAge: number, present: StreamConfig, change: Partial<StreamConfig>): void {
    // The server does not take a window that is longer than the TTL.
    if (maxAge > 0 && (present.duplicate_window ?? 0) > maxAge) change.duplicate_window = maxAge;
    this.#context.logger.info(
      `The TTL of the bucket "${this.bucket}" is ${milliseconds(maxAge)} ms from now on, it was ${
        milliseconds(present.max_age)
      } ms (0: none)`,
    );
  }
}
