import type { Msg } from "@nats-io/nats-core";
import { nuid } from "@nats-io/nats-core";
import { clearInterval, setInterval } from "node:timers";
import { Unavailable } from "../../connection/unavailable.ts";
import { api } from "../api.ts";
import { type Call, callWithin } from "../call.ts";
import { DeliveredMessage } from "./_delivered_message.ts";
import { nanoseconds } from "../durations.ts";
import { advisory } from "../jetstream_subjects.ts";
import { OrderedPulls } from "./_ordered_pulls.ts";
import type { Listening, Session } from "../session.ts";

/** Milliseconds between two looks whether the consumer is alive. */
const LOOK_MS = 1_000;

/** Milliseconds after which the server removes a consumer without pull requests; those that may go by a list are touched less often. */
const ABANDONED_MS = { usual: 5_000, listed: 12_000 };

/** Milliseconds that the removal of a consumer may take. */
const REMOVAL_MS = 1_000;

/** What an ordered consumer delivers. */
export interface OrderedOptions {
  stream: string;
  /** The subjects to deliver; several filters must not overlap. */
  filter: string | readonly string[];
  /** Where to begin: the newest message of each subject, all messages, only those to come, or those from a sequence on. */
  from: "last" | "all" | "new" | number;
  /**
   * Whether the messages come without their bodies.
   *
   * @default {false}
   */
  headersOnly?: boolean;
  /**
   * Whether it ends when the stream's configuration changes.
   *
   * @default {false}
   */
  endsOnUpdate?: boolean;
}

/**
 * One ephemeral consumer that delivers in order and without acknowledgements, for as long as nothing goes wrong: iterating it gives the messages,
 * and `null` once, when there was nothing more to give; it throws {@linkcode Unavailable} when a message is missing, the consumer has gone
 * or the session is over.
 *
 * It pulls, a limited number of bytes at a time, and only while the iteration does not lag behind: a consumer to which the server pushes may have
 * 32 MiB under way, and three of them make the server close the connection. The server removes the consumer by itself without pull requests.
 */
export class OrderedConsumer {
  readonly #session: Session;
  readonly #options: OrderedOptions;
  readonly #name = nuid.next();
  readonly #listening: Pick<Listening, "stop">[] = [];
  readonly #onOver = () => this.#fail(this.#session.signal.reason);
  readonly #pulls: OrderedPulls;
  /** Messages, and `null` for an idle consumer, in the order of their arrival. */
  #queue: (DeliveredMessage | null)[] = [];
  #wake: (() => void) | null = null;
  #delivered = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #failure: Error | null = null;
  #caughtUp = false;
  #closed: Promise<void> | null = null;

  /** Sequence of the stream's last message before this consumer's first. */
  floor = 0;
  /** Messages that it had to deliver when it was made. */
  total = 0;

  private constructor(session: Session, options: OrderedOptions) {
    this.#session = session;
    this.#options = options;
    this.#pulls = new OrderedPulls(session, { ...options, isListed: options.from === "last" }, this.#name, {
      deliver: (message) => this.#deliver(message),
      idle: (delivered) => this.#idle(delivered),
      lost: (how) => this.#lose(how),
      failed: (error) => this.#fail(error),
      ended: () => this.#goOn(),
    });
  }

  /**
   * Makes the consumer.
   *
   * @throws {JetStreamStoreError} If the server refuses.
   * @throws {Unavailable} If it does not answer.
   */
  static async open(call: Call, options: OrderedOptions): Promise<OrderedConsumer> {
    const consumer = new OrderedConsumer(call.session, options);
    try {
      await consumer.#open(call);
      return consumer;
    } catch (error) {
      consumer.#lose("was not made");
      throw error;
    }
  }

  /** To be called before it is iterated where the stream keeps one message of each subject: it takes more at a time then. */
  keepsNoHistory(): void {
    this.#pulls.keepsNoHistory();
  }

  /** Whether the server would have delivered anything newer. */
  get alive(): boolean {
    return this.#failure === null && this.#pulls.alive;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DeliveredMessage | null, void> {
    for (;;) {
      // An array that is swapped keeps both ends cheap.
      const batch = this.#queue;
      this.#queue = [];
      for (const item of batch) {
        if (this.#failure) throw this.#failure;
        if (item !== null) yield item;
        if (!this.#caughtUp && (item === null || item.pending === 0)) {
          this.#caughtUp = true;
          yield null;
        }
      }
      if (this.#failure) throw this.#failure;
      if (this.#queue.length > 0) continue;
      this.#pulls.next();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Stops listening and removes the consumer. An iteration under way throws. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const gone = this.#failure !== null;
    this.#lose("was stopped");
    if (gone) return;
    try {
      const method = `CONSUMER.DELETE.${this.#options.stream}.${this.#name}`;
      await api(callWithin(this.#session, REMOVAL_MS), method, undefined);
    } catch {
      // Whatever kept it from being removed now: the server removes it by itself.
    }
  }

  async #open(call: Call): Promise<void> {
    const { stream, filter, endsOnUpdate = false } = this.#options;
    const gone = () => this.#lose("has gone");
    this.#session.signal.throwIfAborted();
    this.#session.signal.addEventListener("abort", this.#onOver, { once: true });
    const info = await api<{ num_pending: number; delivered: { stream_seq: number } }>(
      call,
      `CONSUMER.CREATE.${stream}.${this.#name}${typeof filter === "string" ? `.${filter}` : ""}`,
      { stream_name: stream, action: "create", config: this.#config() },
    );
    if (this.#failure) throw this.#failure;
    this.floor = info.delivered.stream_seq;
    this.total = info.num_pending;
    if (this.total === 0) this.#give(null);
    this.#pulls.begin(this.total);
    // Quicker than to notice the silence. A user who may not subscribe to these, or to no more subjects, has the heartbeats.
    const ends = [`CONSUMER.DELETED.${stream}.${this.#name}`, ...(endsOnUpdate ? [`STREAM.UPDATED.${stream}`] : [])];
    for (const event of ends) {
      this.#listening.push(this.#session.subscribe(advisory(event), gone, () => {}, { optional: true }));
    }
    this.#timer = setInterval(() => this.#pulls.look(), LOOK_MS).unref();
  }

  #config(): Record<string, unknown> {
    const { filter, from, headersOnly = false } = this.#options;
    return {
      name: this.#name,
      deliver_policy: typeof from === "number" ? "by_start_sequence" : from === "last" ? "last_per_subject" : from,
      ...(typeof from === "number" && { opt_start_seq: from }),
      ...(typeof filter === "string" ? { filter_subject: filter } : { filter_subjects: filter }),
      ack_policy: "none",
      replay_policy: "instant",
      max_deliver: 1,
      inactive_threshold: nanoseconds(from === "last" ? ABANDONED_MS.listed : ABANDONED_MS.usual),
      mem_storage: true,
      num_replicas: 1,
      ...(headersOnly && { headers_only: true }),
    };
  }

  #deliver(message: Msg): DeliveredMessage | null {
    const delivered = new DeliveredMessage(message);
    if (delivered.delivery !== ++this.#delivered) {
      this.#lose("missed a message");
      return null;
    }
    this.#give(delivered);
    return delivered;
  }

  /** @param delivered Messages that the server has sent, as far as it reports. */
  #idle(delivered: number | null): void {
    if (delivered !== null && delivered !== this.#delivered) this.#lose("missed a message");
    else this.#give(null);
  }

  #give(item: DeliveredMessage | null): void {
    if (item === null && this.#queue.at(-1) === null) return;
    this.#queue.push(item);
    this.#goOn();
  }

  #goOn(): void {
    this.#wake?.();
    this.#wake = null;
  }

  #lose(how: string): void {
    this.#fail(new Unavailable("lost", `The consumer of ${this.#options.stream} ${how}`));
  }

  #fail(reason: Error): void {
    if (this.#failure) return;
    this.#failure = reason;
    clearInterval(this.#timer);
    this.#session.signal.removeEventListener("abort", this.#onOver);
    this.#pulls.stop();
    for (const listening of this.#listening) listening.stop();
    this.#goOn();
  }
}
