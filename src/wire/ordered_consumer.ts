import type { Msg } from "@nats-io/nats-core";
import { nuid } from "@nats-io/nats-core";
import { clearInterval, setInterval } from "node:timers";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { isAcknowledgement } from "./acknowledgement.ts";
import { api } from "./api.ts";
import { DeliveredMessage } from "./delivered_message.ts";
import { nanoseconds } from "./durations.ts";
import { advisory, isFlowControl } from "./jetstream_subjects.ts";
import type { Listening, Session } from "./session.ts";

/** Milliseconds between the signs of life of a consumer that has nothing to deliver. */
const HEARTBEAT = 1_000;

/** Milliseconds without a sign of life after which a consumer counts as gone. */
const SILENCE = 3 * HEARTBEAT;

/** Milliseconds after which the server removes a consumer to which nobody listens. */
const ABANDONED = 5_000;

/** Milliseconds that the removal of a consumer may take. */
const REMOVAL = 1_000;

/** What an ordered consumer delivers. */
export interface OrderedOptions {
  stream: string;
  /** The subjects to deliver. */
  filter: string;
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
 * The server holds messages back while the iteration lags behind (flow control), and removes the consumer by itself when nobody listens.
 */
export class OrderedConsumer {
  readonly #session: Session;
  readonly #options: OrderedOptions;
  readonly #name = nuid.next();
  readonly #inbox: string;
  readonly #listening: Pick<Listening, "stop">[] = [];
  readonly #onOver = () => this.#fail(this.#session.signal.reason);
  /** Messages, subjects on which the server asks to go on, and `null` for an idle consumer, in the order of their arrival. */
  #queue: (DeliveredMessage | string | null)[] = [];
  #wake: (() => void) | null = null;
  /** Where the server was last told to go on. */
  #toldOn = "";
  #delivered = 0;
  #heard = performance.now();
  #looked = performance.now();
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
    this.#inbox = session.inbox();
  }

  /**
   * Makes the consumer.
   *
   * @throws {JetStreamStoreError} If the server refuses.
   * @throws {Unavailable} If it does not answer.
   */
  static async open(session: Session, options: OrderedOptions, deadline: number): Promise<OrderedConsumer> {
    const consumer = new OrderedConsumer(session, options);
    try {
      await consumer.#open(deadline);
      return consumer;
    } catch (error) {
      consumer.#lose("was not made");
      throw error;
    }
  }

  /** Whether the server would have told of anything newer. */
  get alive(): boolean {
    return this.#failure === null && performance.now() - this.#heard < SILENCE;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DeliveredMessage | null, void> {
    for (;;) {
      // An array that is swapped keeps both ends cheap.
      const batch = this.#queue;
      this.#queue = [];
      for (const item of batch) {
        if (this.#failure) throw this.#failure;
        if (typeof item === "string") this.#session.send(this.#toldOn = item, "");
        else {
          if (item !== null) yield item;
          if (!this.#caughtUp && (item === null || item.pending === 0)) {
            this.#caughtUp = true;
            yield null;
          }
        }
      }
      if (this.#failure) throw this.#failure;
      if (this.#queue.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
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
      const call = `CONSUMER.DELETE.${this.#options.stream}.${this.#name}`;
      await api(this.#session, call, undefined, performance.now() + REMOVAL);
    } catch {
      // Whatever kept it from being removed now: the server removes it by itself.
    }
  }

  async #open(deadline: number): Promise<void> {
    const { stream, filter, from, headersOnly = false, endsOnUpdate = false } = this.#options;
    const gone = () => this.#lose("has gone");
    this.#session.signal.throwIfAborted();
    this.#session.signal.addEventListener("abort", this.#onOver, { once: true });
    this.#listening.push(
      this.#session.subscribe(this.#inbox, (message) => this.#receive(message), (error) => this.#fail(error)),
    );
    // Who may not tell the server to go on would wait for ever.
    const stop = this.#session.onDenied((subject, cause) => {
      if (subject !== this.#toldOn) return;
      const message = `The server does not allow this user to publish to "$JS.FC.${stream}.>"`;
      this.#fail(new JetStreamStoreError("permission", message, { cause }));
    });
    this.#listening.push({ stop });
    // Quicker than to notice the silence. Who may not listen to these has the heartbeats.
    const ends = [`CONSUMER.DELETED.${stream}.${this.#name}`, ...(endsOnUpdate ? [`STREAM.UPDATED.${stream}`] : [])];
    for (const event of ends) {
      this.#listening.push(this.#session.subscribe(advisory(event), gone, () => {}));
    }
    const info = await api<{ num_pending: number; delivered: { stream_seq: number } }>(
      this.#session,
      `CONSUMER.CREATE.${stream}.${this.#name}.${filter}`,
      {
        stream_name: stream,
        action: "create",
        config: {
          name: this.#name,
          deliver_subject: this.#inbox,
          deliver_policy: typeof from === "number" ? "by_start_sequence" : from === "last" ? "last_per_subject" : from,
          ...(typeof from === "number" && { opt_start_seq: from }),
          filter_subject: filter,
          ack_policy: "none",
          replay_policy: "instant",
          max_deliver: 1,
          flow_control: true,
          idle_heartbeat: nanoseconds(HEARTBEAT),
          inactive_threshold: nanoseconds(ABANDONED),
          mem_storage: true,
          num_replicas: 1,
          ...(headersOnly && { headers_only: true }),
        },
      },
      deadline,
    );
    if (this.#failure) throw this.#failure;
    this.floor = info.delivered.stream_seq;
    this.total = info.num_pending;
    if (this.total === 0) this.#give(null);
    this.#timer = setInterval(() => this.#look(), HEARTBEAT).unref();
  }

  #receive(message: Msg): void {
    this.#heard = performance.now();
    const { reply } = message;
    if (isAcknowledgement(reply)) {
      const delivered = new DeliveredMessage(message);
      if (delivered.delivery !== ++this.#delivered) this.#lose("missed a message");
      else this.#give(delivered);
    } else if (reply) {
      if (isFlowControl(reply)) this.#give(reply);
    } else {
      if (Number(message.headers?.get("Nats-Last-Consumer")) !== this.#delivered) return this.#lose("missed a message");
      const stalled = message.headers?.get("Nats-Consumer-Stalled") ?? "";
      this.#give(isFlowControl(stalled) ? stalled : null);
    }
  }

  #give(item: DeliveredMessage | string | null): void {
    if (item === null && this.#queue.at(-1) === null) return;
    this.#queue.push(item);
    this.#wake?.();
    this.#wake = null;
  }

  #look(): void {
    const now = performance.now();
    // A process that was stopped has missed what passed meanwhile, even if the server's silence does not show it.
    const silent = now - this.#heard > SILENCE || now - this.#looked > SILENCE;
    this.#looked = now;
    if (silent) this.#lose("is silent");
  }

  #lose(how: string): void {
    this.#fail(new Unavailable("lost", `The consumer of ${this.#options.stream} ${how}`));
  }

  #fail(reason: Error): void {
    if (this.#failure) return;
    this.#failure = reason;
    clearInterval(this.#timer);
    this.#session.signal.removeEventListener("abort", this.#onOver);
    for (const listening of this.#listening) listening.stop();
    this.#wake?.();
    this.#wake = null;
  }
}
