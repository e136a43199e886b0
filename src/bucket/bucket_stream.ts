import type { Call } from "../wire/call.ts";
import type { AttemptOptions } from "../connection/attempts.ts";
import { JetStreamStoreError } from "../errors.ts";
import { isNoResponders, Unavailable } from "../connection/unavailable.ts";
import { ErrorCode, isServerError, orElsePermission } from "../wire/api.ts";
import { type BucketKind, checkReadable, checkWritable, ObservedStream, originPrefix } from "./_bucket_kind.ts";
import type { BucketOptions } from "./bucket_options.ts";
import { BucketReader } from "./_bucket_reader.ts";
import type { Context } from "../wire/context.ts";
import { milliseconds } from "../wire/durations.ts";
import { listingStep } from "../wire/listing.ts";
import { KnownRevisions } from "./_known_revisions.ts";
import { RequestedConfig } from "./_requested_config.ts";
import { Once } from "../wire/once.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { deleteStream, openStream, type StreamConfig, type StreamInfo, streamInfo } from "../wire/streams.ts";

/** The stream under a bucket: made and adjusted before the first write, and looked at once. */
export class BucketStream {
  readonly name: string;
  /** The bucket's name. */
  readonly bucket: string;
  /** What it is, for messages. */
  readonly what: string;
  readonly context: Context;
  /** Revisions that this process has seen, shared by all handles. */
  readonly known: KnownRevisions;
  /** Reads its messages. */
  readonly reader: BucketReader;
  /** What is known of it before it is opened. */
  protected readonly observed: ObservedStream;
  readonly #waiting: AttemptOptions;
  readonly #kind: BucketKind;
  readonly #prefix: string;
  readonly #requested: RequestedConfig;
  readonly #opening: Once<StreamConfig> = new Once((call) => this.#open(call));

  constructor(context: Context, bucket: string, options: BucketOptions, kind: BucketKind) {
    this.name = kind.stream;
    this.bucket = bucket;
    this.what = `The bucket "${bucket}"`;
    this.context = context;
    this.observed = context.shared.of(ObservedStream, kind.stream);
    this.known = context.shared.of(KnownRevisions, kind.stream);
    this.reader = new BucketReader(kind.stream, this.known, options.consistency ?? "own");
    this.#waiting = { timeout: context.timeout };
    this.#kind = kind;
    this.#prefix = kind.prefix(bucket);
    this.#requested = new RequestedConfig(kind, options);
  }

  /** The configuration in force; `null` before {@linkcode BucketStream.open}. */
  get config(): StreamConfig | null {
    return this.#opening.value;
  }

  /** Milliseconds that a message lives, as far as is known. */
  get ttl(): number {
    return milliseconds(this.config?.max_age) || Infinity;
  }

  /** Makes the stream if it is missing, and changes what an option requests. What calls this at the same time shares it. */
  open(call: Call): Promise<StreamConfig> {
    this.#opening.forget();
    return this.#opening.get(call);
  }

  /**
   * Opens the stream, and from then on it takes several writes as one.
   *
   * @throws {JetStreamStoreError} `unsupported`, if it cannot be changed so.
   */
  async openWithBatches(call: Call, feature: string): Promise<void> {
    const { allow_atomic, sealed } = await this.openWith(call, "allow_atomic", "2.12", feature);
    // A write will be refused with the reason.
    if (allow_atomic || sealed) return;
    throw new JetStreamStoreError("unsupported", `${this.what} takes no batches of writes, and cannot be changed`);
  }

  /** Opens the stream, and from then on it has this switched on. */
  protected async openWith(
    call: Call,
    switched: "allow_msg_ttl" | "allow_atomic",
    version: string,
    feature: string,
  ): Promise<StreamConfig> {
    call.session.server.require(version, feature);
    this.#requested.switchOn(switched);
    const config = this.config ?? await this.open(call);
    return config[switched] ? config : await this.open(call);
  }

  /** The stream was found missing, or other than it was: it is looked at again before the next write. */
  forget(): void {
    this.#opening.forget();
  }

  /**
   * What to throw where a write has failed: where the stream has gone, or was made again without what was switched on, the call's next attempt opens it
   * anew.
   *
   * @param opened The configuration that was in force as the write was sent.
   */
  refused(error: unknown, opened: StreamConfig | null): unknown {
    const isOther = isServerError(error, ErrorCode.batchesOff, ErrorCode.messageTtlOff);
    if (!isOther && !isNoResponders(error)) return error;
    if (this.config === opened) this.forget();
    return isOther ? new Unavailable("no_responders", "The bucket was made again", { cause: error }) : error;
  }

  /**
   * The state of the stream; `null` if there is none.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if it is neither such a bucket nor the mirror of one.
   */
  async info(call: Call): Promise<StreamInfo | null> {
    const info = await streamInfo(call, this.name);
    if (!info) return null;
    checkReadable(this.#kind, info.config);
    this.observed.origin = await originPrefix(call, this.#kind, info.config);
    this.observed.seenIn = call.session;
    this.known.belongTo(info.created);
    return info;
  }

  /** The newest message on a subject of this bucket. Where there is none it is looked at once in each session what the stream is. */
  last(call: Call, subject: string, fromLeader?: boolean): Promise<StoredMessage | null> {
    const message = this.reader.last(call, this.stored(subject), fromLeader);
    if (this.isSeen(call.session)) return message;
    return message.then((message) => message ?? this.#lastElsewhere(call, subject, fromLeader));
  }

  async #lastElsewhere(
    call: Call,
    subject: string,
    fromLeader?: boolean,
  ): Promise<StoredMessage | null> {
    const isElsewhere = await this.look(call);
    return isElsewhere ? await this.reader.last(call, this.stored(subject), fromLeader) : null;
  }

  /** Whether it is known that the stream is such a bucket. */
  isSeen(session: Session): boolean {
    return this.config !== null || this.observed.seenIn === session;
  }

  /**
   * Looks what the stream is in which something was not found. Returns whether it has other subjects than it was asked for.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, as {@linkcode BucketStream.info}.
   */
  async look(call: Call): Promise<boolean> {
    const { origin } = this.observed;
    // Who may not ask reads all the same.
    if (await orElsePermission("denied", this.info(call)) === "denied") this.observed.seenIn = call.session;
    return this.observed.origin !== origin;
  }

  /** A subject of this bucket as the stream has it: a mirror has those of the bucket that it mirrors. */
  stored(subject: string): string {
    const { origin } = this.observed;
    return origin === null ? subject : origin + subject.slice(this.#prefix.length);
  }

  /** Whether the stream is the mirror of another bucket, as far as is known. */
  get isMirror(): boolean {
    return this.observed.origin !== null;
  }

  /** The part of a stored subject behind what the bucket's subjects begin with. */
  protected rest(subject: string): string {
    return subject.slice((this.observed.origin ?? this.#prefix).length);
  }

  /**
   * Whether there is a stream, for writes that do not open it.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if it takes no writes.
   */
  async isWritable(call: Call): Promise<boolean> {
    const info = await this.info(call);
    if (info) checkWritable(this.#kind, info.config);
    return info !== null;
  }

  /** Does something with the bucket; `null` if it cannot be done within the deadline. */
  attempt<T>(operation: (call: Call) => Promise<T>): Promise<T | null> {
    return this.context.connection.attempt(operation, this.#waiting);
  }

  /** As {@linkcode BucketStream.attempt}, for a call of a user, which telemetry observes under this name. */
  observe<T>(
    name: string,
    operation: (call: Call) => Promise<T>,
    given?: Partial<AttemptOptions>,
  ): Promise<T | null> {
    const { connection, telemetry } = this.context;
    const options = given ? { ...this.#waiting, ...given } : this.#waiting;
    const observed = telemetry.call(this.bucket, name);
    if (!observed) return connection.attempt(operation, options);
    return observed.run(() => connection.attempt(operation, { ...options, degraded: observed.unavailable }));
  }

  /** {@linkcode listingStep} of this bucket. */
  listingStep<T>(operation: (call: Call) => Promise<T>): Promise<T> {
    return listingStep(this.context, this.what, operation);
  }

  /**
   * Removes the stream; `false` if there was none, and `null` if it is not confirmed.
   *
   * @throws {JetStreamStoreError} `wrong_kind`, if it is no bucket of this kind, or keeps other subjects, too.
   */
  async destroy(): Promise<boolean | null> {
    let tried = false;
    return await this.observe("destroy", async (call) => {
      // What is gone after a try without an answer was there before it, or was not.
      const info = await this.info(call);
      if (!info) return tried ? null : false;
      checkWritable(this.#kind, info.config);
      if (info.config.subjects?.length !== this.#kind.subjects.length) {
        throw new JetStreamStoreError(
          "wrong_kind",
          `The stream ${this.name} has subjects beside the bucket's and is not removed: remove those subjects first`,
        );
      }
      tried = true;
      const deleted = await deleteStream(call, this.name);
      this.known.clear();
      return deleted;
    });
  }

  /** {@linkcode checkReadable} of this bucket. */
  checkKind(config: StreamConfig): void {
    checkReadable(this.#kind, config);
  }

  async #open(call: Call): Promise<StreamConfig> {
    let before: StreamConfig | undefined;
    const change = (present: StreamConfig) => this.#change(before = present);
    const { config, created } = await openStream(call, this.#requested.whole(this.context.settings), change);
    this.known.belongTo(created);
    this.observed.origin = null;
    this.observed.seenIn = call.session;
    if (before) this.#tellOfTtl(before, config);
    return config;
  }

  /** What is to change of a bucket that is there. */
  #change(present: StreamConfig): Partial<StreamConfig> | null {
    checkWritable(this.#kind, present);
    if (!present.sealed && this.#requested.hasOtherStorage(present)) {
      this.context.logger.warn(`${this.what} stays in ${present.storage} storage, which cannot be changed`);
    }
    return this.#requested.changeOf(present);
  }

  #tellOfTtl(before: StreamConfig, now: StreamConfig): void {
    const [was, is] = [milliseconds(before.max_age), milliseconds(now.max_age)];
    if (is !== was) {
      this.context.logger.info(`${this.what} has a TTL of ${is} ms from now on, it was ${was} ms (0: none)`);
    }
  }
}
