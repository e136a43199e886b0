import type { Msg } from "@nats-io/nats-core";
import { settledWithin } from "../connection/delay.ts";
import { isAcknowledgement } from "../wire/acknowledgement.ts";
import { milliseconds, nanoseconds } from "../wire/durations.ts";
import type { Listening, Session } from "../wire/session.ts";
import type { ConsumerInfo } from "./durable_consumer.ts";

/** Milliseconds after which a waiting pull is renewed, the server tells that it still waits, and its silence counts as failure. */
const WAIT = { expires: 60_000, heartbeat: 2_000, silence: 4_500 };

/** Milliseconds within which the server must answer a pull that does not wait. */
const FETCH_TIMEOUT = 5_000;

/** Milliseconds for which the socket is read before silence counts: while a handler keeps this process busy nobody reads it. */
const LISTEN = 50;

/** Milliseconds for which a consumer with a limit is given time to answer, before another one is asked. */
const PATIENCE = 10;

/** Milliseconds that a nudge waits. One that does not wait is refused at once while another pull waits. */
const NUDGE = 100;

interface OpenPull {
  /** Jobs that may still come. */
  left: number;
  readonly waiting: boolean;
  readonly done: () => void;
}

/** What becomes of a durable consumer's pulls. */
export interface PullEvents {
  /** A job was handed out: as soon as it came (`waited`), or for a fetch; `at` is `performance.now()`. */
  deliver(message: Msg, waited: boolean, at: number): void;
  /** A pull that waited was served, or renewed by the server: there may be more. */
  ready(): void;
  /** The consumer does not serve: it is gone, or its leader changes, or it went silent. */
  broken(reason: string): void;
}

/**
 * Asks one durable consumer for jobs, over one session.
 *
 * At most one pull is out at a time: one that takes what is there, or, when nothing is, one that waits. Waiting costs the server no polling.
 */
export class Pulls {
  /** How many jobs the server hands out at a time, to all workers together: `Infinity` without a limit, 1 for the partitions of keys. */
  limit = Infinity;
  /** Milliseconds after which the server hands a job out again that nobody has reported. */
  lease = 0;
  /** Whether the server was told to hand out nothing. */
  paused = false;
  /** The durable consumer's name. */
  readonly consumer: string;
  readonly #session: Session;
  readonly #subject: string;
  readonly #events: PullEvents;
  readonly #inbox: string;
  readonly #listening: Listening;
  /** Pulls that were sent. */
  #sent = 0;
  #open: OpenPull | null = null;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #lastSign = performance.now();
  #stopped = false;

  constructor(session: Session, stream: string, info: ConsumerInfo, events: PullEvents) {
    this.consumer = info.name;
    this.goBy(info);
    this.#session = session;
    this.#subject = session.subjects.api(`CONSUMER.MSG.NEXT.${stream}.${this.consumer}`);
    this.#events = events;
    this.#inbox = session.inbox();
    this.#listening = session.subscribe(
      `${this.#inbox}.*`,
      (message) => this.#receive(message),
      (error) => this.#fail(error.message),
    );
  }

  /** Takes over the settings of the durable consumer. */
  goBy({ config, paused = false }: ConsumerInfo): void {
    this.limit = config.max_ack_pending > 0 ? config.max_ack_pending : Infinity;
    this.lease = milliseconds(config.ack_wait);
    this.paused = paused;
  }

  /** Whether a waiting pull is out: the consumer had nothing when last asked. */
  get waiting(): boolean {
    return this.#open?.waiting === true;
  }

  /** Whether it was told to stop, or broke. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes up to `batch` jobs that are there; resolves when they have come, or the server has no more. Returns how many came. */
  fetch(batch: number): Promise<number> {
    return this.limit === Infinity ? this.#fetchNow(batch) : this.#fetchSoon(batch);
  }

  async #fetchNow(batch: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const pull = { left: batch, waiting: false, done: resolve };
    this.#send(pull, { batch, no_wait: true }, FETCH_TIMEOUT);
    await promise;
    return batch - pull.left;
  }

  /** While a limit is reached the server does not answer a pull that does not wait. So this one waits on when the others are asked. */
  async #fetchSoon(batch: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const pull = this.wait(batch, resolve);
    await settledWithin(promise, PATIENCE);
    return batch - pull.left;
  }

  /** Lets the server hand over up to `batch` jobs as soon as they come. */
  wait(batch: number, done: () => void = () => {}): OpenPull {
    const pull = {
      left: batch,
      waiting: true,
      done: () => {
        done();
        this.#events.ready();
      },
    };
    const { expires, heartbeat, silence } = WAIT;
    this.#send(pull, { batch, expires: nanoseconds(expires), idle_heartbeat: nanoseconds(heartbeat) }, silence);
    return pull;
  }

  /**
   * Makes the server look at the pull that waits, which after a pause it does only when something else happens. To pull anew would leave two of
   * them, and to stop listening to the first would lose what is under way to it between the servers of a cluster.
   */
  nudge(): void {
    if (this.waiting) this.#request({ batch: 1, expires: nanoseconds(NUDGE) }, `${this.#inbox}.nudge`);
  }

  /** Stops listening at once. A job that is under way to us is handed out again when its lease is over. */
  stop(): void {
    this.#listening.stop();
    this.#abandon();
  }

  /** Asks for no more, and takes what is under way to us. */
  async drain(): Promise<void> {
    this.#stopped = true;
    await this.#listening.drain();
    this.#abandon();
  }

  #abandon(): void {
    this.#stopped = true;
    clearTimeout(this.#watchdog);
    const open = this.#open;
    this.#open = null;
    if (open && !open.waiting) open.done();
  }

  #send(pull: OpenPull, request: Record<string, unknown>, silence: number): void {
    this.#open = pull;
    this.#lastSign = performance.now();
    this.#watch(silence);
    this.#request(request, `${this.#inbox}.${++this.#sent}`);
  }

  #request(request: Record<string, unknown>, reply: string): void {
    this.#session.send(this.#subject, JSON.stringify(request), { reply });
  }

  #watch(silence: number, wait: number = silence, listened = false): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      const left = this.#lastSign + silence - performance.now();
      if (left > 0) this.#watch(silence, left);
      else if (!listened) this.#watch(silence, LISTEN, true);
      else this.#fail("the server went silent");
    }, wait);
  }

  #receive(message: Msg): void {
    this.#lastSign = performance.now();
    if (isAcknowledgement(message.reply)) {
      this.#events.deliver(message, this.waiting, this.#lastSign);
      if (this.#open && --this.#open.left === 0) this.#close();
      return;
    }
    // What the server says of another pull is no news of this one.
    if (message.subject !== `${this.#inbox}.${this.#sent}`) return;
    const code = message.headers?.code ?? 0;
    if (code === 100) return;
    // 404: nothing there. 408: a waiting pull has come to its end. 409 for a limit: as good as nothing there.
    const description = message.headers?.description ?? "";
    if (code === 404 || code === 408 || (code === 409 && /^Exceeded Max(AckPending|Waiting)/i.test(description))) {
      this.#close();
    } else this.#fail(`${code} ${description || "nobody answers"}`);
  }

  #close(): void {
    clearTimeout(this.#watchdog);
    const open = this.#open;
    this.#open = null;
    open?.done();
  }

  #fail(reason: string): void {
    this.stop();
    this.#events.broken(reason);
  }
}
