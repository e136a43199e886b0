import { milliseconds } from "../wire/durations.ts";
import { followStream } from "../wire/follow/follow_stream.ts";
import type { OrderedConsumer } from "../wire/follow/ordered_consumer.ts";
import type { Session } from "../wire/session.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import type { StreamInfo } from "../wire/streams.ts";
import { operationOf } from "./kv_entry.ts";
import type { KvStream } from "./_kv_stream.ts";
import { messageTtl } from "../wire/message_ttl.ts";
import { messageOf } from "../shown.ts";

/** Milliseconds between two looks for values that have expired. */
const SWEEP_INTERVAL_MS = 60_000;

/** Milliseconds after which a mirror that the server refused is tried again. */
const REFUSAL_RETRY_MS = 60_000;

/** The watch that keeps a mirror current, since it began the last time. */
interface Watching {
  readonly session: Session;
  readonly consumer: OrderedConsumer;
  /** Milliseconds that each value lives. */
  readonly ttl: number;
  /** Whether nothing comes back when a value expires before the bucket's TTL. */
  readonly single: boolean;
  /** Whether it has given all that was there. */
  complete: boolean;
}

/**
 * A copy of a whole bucket in memory, kept current by a watch.
 *
 * It answers only while it is in sync: all has been read over the present session, the consumer is alive, and what this process has written or read
 * has passed. After any gap it is read anew, since what was deleted meanwhile need not have left a trace.
 */
export class KvMirror {
  readonly #stream: KvStream;
  readonly #held: Map<string, HeldValue> = new Map();
  #started = false;
  /** `null` if there is none, or none that sees in all ways how values go. */
  #watching: Watching | null = null;
  /** Sequence of the newest message that the watch gave: it has passed all before. */
  #seen = 0;
  readonly #sweepMs: number;
  #swept = 0;
  #refusedAt = -Infinity;

  /** @param sweep Milliseconds between two looks for values that have expired. */
  constructor(stream: KvStream, sweep: number = SWEEP_INTERVAL_MS) {
    this.#stream = stream;
    this.#sweepMs = sweep;
  }

  /** The value of a subject, `null` if it has none, and `undefined` if the server must be asked. */
  get(asked: string): HeldValue | null | undefined {
    if (!this.#started) this.#start();
    const watching = this.#watching;
    if (!watching?.complete || !watching.consumer.alive) return undefined;
    const { session } = watching;
    const { known } = this.#stream;
    const subject = this.#stream.stored(asked);
    if (known.newest(subject) > this.#seen) return undefined;
    const held = this.#held.get(subject);
    // The server may keep it a little longer, and says so.
    if (held && held.expires <= session.now()) return undefined;
    // A replica that lags behind must not answer with less once the mirror is out of sync.
    if (!session.requests.alone) known.read(session, subject, held?.sequence ?? this.#seen);
    return held ?? null;
  }

  /** The bucket is gone, so all that the mirror holds is old until it begins anew. */
  distrust(): void {
    this.#watching = null;
  }

  #start(): void {
    if (performance.now() - this.#refusedAt < REFUSAL_RETRY_MS) return;
    this.#started = true;
    // What this process writes from now on the watch may not have passed yet.
    this.#stream.known.switchOn();
    const stopping = new AbortController();
    const kept = this.#keep(stopping.signal).catch((error) => {
      this.#refusedAt = performance.now();
      this.#stream.context.logger.warn(
        `${this.#stream.name} is read without its cache: ${messageOf(error)}`,
      );
    }).finally(() => {
      this.#stream.context.closers.delete(stop);
      this.#started = false;
      this.#watching = null;
      this.#held.clear();
    });
    const stop = () => {
      stopping.abort();
      return kept;
    };
    this.#stream.context.closers.add(stop);
  }

  async #keep(stop: AbortSignal): Promise<void> {
    // The mirror of another bucket has that one's subjects.
    await this.#stream.attempt((call) => this.#stream.info(call));
    const filter = this.#stream.stored(this.#stream.subjectsOf(">", "mirror the bucket"));
    const messages = followStream(this.#stream.context, {
      stream: this.#stream.name,
      filter,
      from: "last",
      resume: false,
      endsOnUpdate: true,
      begun: (info, session, consumer, goesOn) => this.#begin(info, session, consumer, filter, goesOn),
    }, stop);
    for await (const message of messages) {
      if (message !== null) this.#take(message);
      else if (this.#watching) this.#watching.complete = true;
    }
  }

  #begin(
    { config, created }: StreamInfo,
    session: Session,
    consumer: OrderedConsumer,
    filter: string,
    goesOn: boolean,
  ): void {
    this.#stream.checkKind(config);
    this.#stream.known.belongTo(created);
    if (!goesOn) {
      this.#held.clear();
      this.#seen = 0;
    }
    // A full bucket of the other kind drops its oldest values without a word.
    const exact = config.discard === "new" || ((config.max_bytes ?? -1) < 0 && (config.max_msgs ?? -1) < 0);
    const [ttl, single] = [milliseconds(config.max_age) || Infinity, config.max_msgs_per_subject === 1];
    // What was made as a mirror since it was looked at has other subjects than those that are watched.
    const isSame = !config.mirror || filter !== this.#stream.subjectsOf(">", "mirror the bucket");
    this.#watching = exact && isSame ? { session, consumer, ttl, single, complete: false } : null;
  }

  #take(message: StoredMessage): void {
    const { subject, sequence } = message;
    this.#seen = sequence;
    if (this.#watching && operationOf(message) === "put") {
      this.#held.set(subject, new HeldValue(message, this.#watching.ttl));
    } else this.#held.delete(subject);
    if (performance.now() - this.#swept > this.#sweepMs) this.#sweep();
  }

  /** What has expired for certain, and is not asked for, must not pile up. */
  #sweep(): void {
    this.#swept = performance.now();
    if (this.#watching) {
      const { session, ttl, single } = this.#watching;
      const certain = session.now() - this.#sweepMs;
      for (const [subject, { expires, stored }] of this.#held) {
        if ((single ? expires : stored + ttl) < certain) this.#held.delete(subject);
      }
    }
  }
}

/** A value in memory. */
class HeldValue {
  readonly sequence: number;
  /** The time of the server at which it was stored. */
  readonly stored: number;
  /** The time of the server at which it is gone. */
  readonly expires: number;
  readonly data: Uint8Array;

  constructor(message: StoredMessage, ttl: number) {
    this.sequence = message.sequence;
    this.stored = message.time.getTime();
    this.expires = this.stored + Math.min(ttl, messageTtl(message));
    // Of its own: what was received lies in the middle of a larger buffer.
    this.data = new Uint8Array(message.data);
  }

  get time(): Date {
    return new Date(this.stored);
  }
}
