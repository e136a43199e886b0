import { StreamFollower } from "../wire/stream_follower.ts";
import type { Context } from "../wire/context.ts";
import type { DeliveredMessage } from "../wire/delivered_message.ts";
import { milliseconds } from "../wire/durations.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import type { StreamInfo } from "../wire/streams.ts";
import { operationOf } from "./kv_entry.ts";
import type { KvStream } from "./kv_stream.ts";
import { messageTtl } from "./message_ttl.ts";

/** Milliseconds between two looks for values that have expired. */
const SWEEP = 60_000;

/** Milliseconds after which a mirror that the server refused is tried again. */
const REFUSED = 60_000;

/**
 * A copy of a whole bucket in memory, kept current by a watch.
 *
 * It answers only while it is in sync: all has been read over the present session, the consumer is alive, and what this process is known to have
 * written or read has passed. After any gap it is read anew, since what was deleted meanwhile need not have left a trace.
 */
export class KvMirror {
  readonly #context: Context;
  readonly #stream: KvStream;
  readonly #held: Map<string, HeldMessage> = new Map();
  /** Newest revision of a subject that this process knows of and the watch has not passed yet. */
  readonly #awaited: Map<string, number> = new Map();
  #follower: StreamFollower | null = null;
  #created = "";
  /** Sequence of the newest message that the watch gave: it has passed all before. */
  #seen = 0;
  /** Milliseconds that each value lives. */
  #ttl = Infinity;
  /** Whether nothing comes back when a value expires before the bucket's TTL. */
  #single = false;
  /** What to add to `performance.now()` for the time of the server, at most. */
  #clock = 0;
  /** Whether values go only in ways that can be seen. */
  #exact = false;
  #swept = 0;
  #refusedAt = -Infinity;

  constructor(context: Context, stream: KvStream) {
    this.#context = context;
    this.#stream = stream;
  }

  /** The value of a subject, `null` if it has none, and `undefined` if the server must be asked. */
  get(subject: string): StoredMessage | null | undefined {
    if (!this.#follower) this.#start();
    const state = this.#follower?.state ?? "behind";
    if (state === "behind" || !this.#exact) return undefined;
    const awaited = this.#awaited.get(subject);
    if (awaited !== undefined && awaited > this.#seen) return undefined;
    const held = this.#held.get(subject);
    if (held === undefined) return state === "complete" ? null : undefined;
    // The server may keep it a little longer, and says so.
    return held.expires > this.#now() ? held : undefined;
  }

  /** This process wrote or read this revision, so it must not see an older one from now on. */
  knows(subject: string, revision: number): void {
    if (revision > this.#seen && revision > (this.#awaited.get(subject) ?? 0)) this.#awaited.set(subject, revision);
  }

  /** The bucket is gone, so all that the mirror holds is old until it begins anew. */
  distrust(): void {
    this.#exact = false;
  }

  #start(): void {
    if (performance.now() - this.#refusedAt < REFUSED) return;
    const follower = this.#follower = new StreamFollower(this.#context, {
      stream: this.#stream.name,
      filter: `${this.#stream.prefix}>`,
      from: "last",
      resume: false,
      endsOnUpdate: true,
      begun: (info, asked) => this.#begin(info, asked),
    });
    this.#keep(follower).catch((error) => {
      this.#refusedAt = performance.now();
      this.#context.logger.warn(
        `${this.#stream.name} is read without its cache: ${error instanceof Error ? error.message : error}`,
      );
    }).finally(() => {
      this.#follower = null;
      this.#held.clear();
    });
  }

  async #keep(follower: StreamFollower): Promise<void> {
    for await (const message of follower) this.#take(message);
  }

  #begin({ config, created, ts }: StreamInfo, asked: number): void {
    this.#stream.checkKind(config);
    this.#held.clear();
    if (created !== this.#created) this.#awaited.clear();
    this.#created = created;
    this.#seen = 0;
    this.#ttl = milliseconds(config.max_age) || Infinity;
    this.#single = config.max_msgs_per_subject === 1;
    this.#clock = (ts === undefined ? Date.now() : Date.parse(ts)) - asked;
    // A full bucket of this kind drops its oldest values without a word.
    this.#exact = config.discard === "new" || ((config.max_bytes ?? -1) < 0 && (config.max_msgs ?? -1) < 0);
  }

  #take(message: DeliveredMessage): void {
    const { subject, sequence } = message;
    this.#seen = sequence;
    if ((this.#awaited.get(subject) ?? Infinity) <= sequence) this.#awaited.delete(subject);
    if (operationOf(message) === "put") this.#held.set(subject, new HeldMessage(message, this.#ttl));
    else this.#held.delete(subject);
    if (performance.now() - this.#swept > SWEEP) this.#sweep();
  }

  /** What has expired for certain, and is not asked for, must not pile up. */
  #sweep(): void {
    this.#swept = performance.now();
    const certain = this.#now() - SWEEP;
    for (const [subject, { expires, stored }] of this.#held) {
      if ((this.#single ? expires : stored + this.#ttl) < certain) this.#held.delete(subject);
    }
    for (const [subject, revision] of this.#awaited) if (revision <= this.#seen) this.#awaited.delete(subject);
  }

  #now(): number {
    return this.#clock + performance.now();
  }
}

/** A value in memory. */
class HeldMessage implements StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  /** The time of the server at which it was stored. */
  readonly stored: number;
  /** The time of the server at which it is gone. */
  readonly expires: number;
  readonly #data: Uint8Array;

  constructor(message: DeliveredMessage, ttl: number) {
    this.subject = message.subject;
    this.sequence = message.sequence;
    this.stored = message.time.getTime();
    this.expires = this.stored + Math.min(ttl, messageTtl(message));
    // Of its own: what was received lies in the middle of a larger buffer.
    this.#data = new Uint8Array(message.data);
  }

  get time(): Date {
    return new Date(this.stored);
  }

  /** A copy: the caller may write into it. */
  get data(): Uint8Array {
    return this.#data.slice();
  }

  /** Headers are read when a value comes in, and not kept. */
  header(): undefined {
    return undefined;
  }

  headers(): [] {
    return [];
  }
}
