import type { Msg } from "@nats-io/nats-core";
import { clearTimeout, setTimeout } from "node:timers";
import { JetStreamStoreError } from "../../errors.ts";
import { isAcknowledgement } from "../acknowledgement.ts";
import type { DeliveredMessage } from "./_delivered_message.ts";
import { nanoseconds } from "../durations.ts";
import { headerOf, statusOf } from "../../connection/nats/raw_headers.ts";
import type { Listening, Session } from "../session.ts";

/** Milliseconds for which a pull waits for messages, and between the server's signs of life meanwhile. */
const WAIT_MS = { expires: 60_000, heartbeat: 1_000 };

/** Milliseconds without a sign of life after which a pull that waits, or one that takes what is there, counts as lost. */
const SILENCE_MS = { waiting: 3_000, taking: 10_000 };

/** Milliseconds before a pull without a responder is sent again: in a cluster a new consumer takes a moment to reach all servers. */
const RETRY_DELAY_MS = 50;

/** Messages of one pull request, at most. */
const BATCH = 5_000;

/** Milliseconds after which a message is taken only to keep a consumer in use that goes by a list. */
const LISTED_TOUCH_MS = 5_000;

/** Milliseconds of a pull request that only keeps the consumer in use. */
const TOUCH_MS = 1_000;

/** What becomes of the pulls of an ordered consumer. */
export interface OrderedPullEvents {
  /** A message was delivered; gives it as it is read, or `null` if one before it is missing. */
  deliver(message: Msg): DeliveredMessage | null;
  /** There is nothing to deliver; the server says how many messages it has delivered so far, or does not. */
  idle(delivered: number | null): void;
  /** The consumer has to be made again. */
  lost(how: string): void;
  /** The server refuses what it needs. */
  failed(error: Error): void;
  /** A pull has come to its end: time for {@linkcode OrderedPulls.next} once what it brought is taken. */
  ended(): void;
}

/** The pull that is out. */
interface OpenPull {
  readonly waiting: boolean;
  /** Bytes of the connection's budget that it holds, and whether it limits the number of its messages only. */
  readonly held: number;
  readonly isCounted: boolean;
  /** Messages that it requested, and how many of these have not arrived. */
  readonly batch: number;
  left: number;
}

/**
 * The pulls of one ordered consumer: one at a time. While there are messages it takes them in portions of the connection's budget of bytes; when there
 * are none it waits, for a few bytes only.
 */
export class OrderedPulls {
  readonly #session: Session;
  readonly #stream: string;
  readonly #headersOnly: boolean;
  readonly #subject: string;
  readonly #events: OrderedPullEvents;
  readonly #inbox: string;
  readonly #listening: Pick<Listening, "stop">[] = [];
  #open: OpenPull | null = null;
  #sent = 0;
  /** Whether the budget is being waited for. */
  #acquiring = false;
  /** Messages that can be taken at once, as far as is known. */
  #pending = 0;
  /**
   * Whether the server may go by a list of the newest messages, as it does where a stream keeps several of a subject. Up to its end, a message for which a
   * pull has no bytes left, or that finds no pull, is never delivered (nats-server 2.12 to 2.15 at least): pulls limit the number of messages only.
   */
  #isListed: boolean;
  /** Bytes that a portion must have, as a message was larger than the last one. */
  #least = 0;
  /** When a pull was last answered. */
  #answeredAt = performance.now();
  /** When one was last sent. */
  #asked = performance.now();
  #checkedAt = performance.now();
  #stopped = false;
  /** Whether the consumer has answered a pull. */
  #known = false;
  /** The last pull, and what sends it again. */
  #request: Record<string, unknown> = {};
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(
    session: Session,
    { stream, headersOnly = false, isListed }: { stream: string; headersOnly?: boolean; isListed: boolean },
    consumer: string,
    events: OrderedPullEvents,
  ) {
    this.#session = session;
    this.#stream = stream;
    this.#headersOnly = headersOnly;
    this.#isListed = isListed;
    this.#subject = session.subjects.api(`CONSUMER.MSG.NEXT.${stream}.${consumer}`);
    this.#events = events;
    this.#inbox = session.inbox();
  }

  /** Whether the server would have delivered anything newer. */
  get alive(): boolean {
    return this.#open !== null && performance.now() - this.#answeredAt < SILENCE_MS.waiting;
  }

  /** Begins to listen; the first pull is sent by {@linkcode OrderedPulls.next}. */
  begin(pending: number): void {
    // The request that made the consumer may have taken long: its silence begins here.
    this.#answeredAt = this.#checkedAt = performance.now();
    this.#pending = pending;
    this.#listening.push(
      this.#session.subscribe(
        `${this.#inbox}.*`,
        (message) => this.#receive(message),
        (error) => this.#events.failed(error),
      ),
    );
    const stop = this.#session.onDenied((subject, cause) => {
      if (subject !== this.#subject) return;
      const pulls = this.#session.subjects.api(`CONSUMER.MSG.NEXT.${this.#stream}.>`);
      const message = `The server does not allow this user to publish to "${pulls}"`;
      this.#events.failed(new JetStreamStoreError("permission", message, { cause }));
    });
    this.#listening.push({ stop });
  }

  /** The stream keeps one message of each subject: the server goes by no list. */
  keepsNoHistory(): void {
    this.#isListed = false;
  }

  /** Requests more, unless a pull is open: what came has been taken. */
  next(): void {
    if (this.#open || this.#acquiring || this.#stopped) return;
    if (this.#isListed || this.#pending > 0) this.#take(BATCH);
    else this.#wait();
  }

  /** Checks whether the consumer is alive, now and then, and keeps the server from removing it while the iteration lags behind. */
  look(): void {
    const now = performance.now();
    // A suspended process has missed what passed meanwhile, even if the server's silence does not show it. A list's consumer is kept for longer.
    const stopped = now - this.#checkedAt > (this.#isListed ? SILENCE_MS.taking : SILENCE_MS.waiting);
    this.#checkedAt = now;
    const since = Math.max(this.#answeredAt, this.#asked);
    const silence = this.#open?.waiting === false ? SILENCE_MS.taking : SILENCE_MS.waiting;
    if (stopped || (this.#open && now - since > silence)) this.#events.lost("is silent");
    else if (!this.#open && this.#isListed) {
      if (!this.#acquiring && now - this.#asked > LISTED_TOUCH_MS) this.#take(1);
    } else if (!this.#open) {
      // No message has room in one byte.
      this.#send({ batch: 1, max_bytes: 1, expires: nanoseconds(TOUCH_MS) }, "touch");
    }
  }

  /** Stops listening. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#close();
    for (const listening of this.#listening) listening.stop();
  }

  async #take(most: number): Promise<void> {
    const { incoming } = this.#session;
    const isCounted = this.#isListed;
    const { messages: batch, bytes } = this.#portion(Math.min(Math.max(this.#pending, 1), most));
    this.#acquiring = true;
    const acquired = await incoming.acquire(bytes, () => !this.#stopped, isCounted);
    this.#acquiring = false;
    if (!acquired) return;
    this.#open = { waiting: false, held: bytes, isCounted, batch, left: batch };
    this.#pull({ batch, no_wait: true, ...(!isCounted && { max_bytes: bytes }) });
  }

  #portion(messages: number): { messages: number; bytes: number } {
    const { incoming } = this.#session;
    if (this.#isListed) return incoming.counted(this.#stream, messages, this.#headersOnly ? 0 : undefined);
    return { messages, bytes: Math.max(this.#least, incoming.several(this.#stream, messages)) };
  }

  #wait(): void {
    const bytes = this.#session.incoming.waits();
    this.#open = { waiting: true, held: 0, isCounted: false, batch: BATCH, left: BATCH };
    const { expires, heartbeat } = WAIT_MS;
    this.#pull({
      batch: BATCH,
      max_bytes: bytes,
      expires: nanoseconds(expires),
      idle_heartbeat: nanoseconds(heartbeat),
    });
  }

  #pull(request: Record<string, unknown>): void {
    this.#request = request;
    this.#asked = performance.now();
    this.#send(request, String(++this.#sent));
  }

  #send(request: Record<string, unknown>, id: string): void {
    this.#session.send(this.#subject, JSON.stringify(request), { reply: `${this.#inbox}.${id}` });
  }

  #receive(message: Msg): void {
    if (isAcknowledgement(message.reply)) return this.#deliver(message);
    const { code, description } = statusOf(message);
    if (code === 503) return this.#unserved();
    // Any client may write to an inbox; and the server may answer an earlier pull, or one that only kept the consumer in use.
    if (code === 0 || message.subject !== `${this.#inbox}.${this.#sent}` || !this.#open) return;
    this.#known = true;
    this.#answeredAt = performance.now();
    const delivered = headerOf(message, "Nats-Last-Consumer");
    if (code === 100) return this.#events.idle(delivered === undefined ? null : Number(delivered));
    const { held, batch, left } = this.#open;
    this.#close();
    if (code === 404 || code === 408) {
      this.#pending = 0;
      this.#isListed = false;
      this.#events.idle(null);
    } else if (code === 409 && /exceeds maxbytes/i.test(description)) {
      this.#pending = Math.max(this.#pending, 1);
      // The next message is larger than all that was requested.
      if (left === batch) this.#least = 2 * Math.max(held, this.#session.maxPayload);
    } else return this.#events.lost(`has gone (${code} ${description})`);
    this.#events.ended();
  }

  /** A pull had no responder: the consumer has gone, or has not reached this server yet. */
  #unserved(): void {
    if (this.#known || performance.now() - this.#answeredAt > SILENCE_MS.waiting) {
      return this.#events.lost("has gone (no responders)");
    }
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open && this.#pull(this.#request), RETRY_DELAY_MS);
  }

  #deliver(message: Msg): void {
    this.#known = true;
    this.#answeredAt = performance.now();
    if (!this.#headersOnly) this.#session.incoming.note(this.#stream, message.data.length);
    this.#least = 0;
    const delivered = this.#events.deliver(message);
    if (!delivered) return;
    this.#pending = delivered.pending;
    if (this.#open && --this.#open.left === 0) {
      this.#close();
      this.#events.ended();
    }
  }

  #close(): void {
    const open = this.#open;
    this.#open = null;
    if (!open) return;
    if (open.waiting) this.#session.incoming.waited();
    else this.#session.incoming.give(open.held, open.isCounted);
  }
}
