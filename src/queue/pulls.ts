import type { Msg } from "@nats-io/nats-core";
import { settledWithin } from "../connection/delay.ts";
import { isAcknowledgement } from "../wire/acknowledgement.ts";
import { milliseconds, nanoseconds } from "../wire/durations.ts";
import type { Listening, Session } from "../wire/session.ts";
import type { ConsumerInfo } from "./durable_consumer.ts";
import { isWide, PullLimits, type PullRequest } from "./pull_limits.ts";

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
  /** Jobs that have come. */
  came: number;
  readonly waiting: boolean;
  request: PullRequest;
  readonly done: () => void;
}

/** What becomes of a durable consumer's pulls. */
export interface PullEvents {
  /** A job was handed out: as soon as it came (`waited`), or for a fetch; `at` is `performance.now()`. */
  deliver(message: Msg, waited: boolean, at: number): void;
  /** A pull that waited was served, or renewed by the server: there may be more. */
  ready(): void;
  /** A pull that waited has come to its end. */
  expired(): void;
  /** The server has shown that it serves. */
  served(): void;
  /** A pull that waits hears nothing: its consumer has moved, or has no place for it. */
  silent(reason: string): void;
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
  readonly #limits = new PullLimits();
  readonly #inbox: string;
  readonly #listening: Listening;
  /** Pulls that were sent. */
  #sent = 0;
  #open: OpenPull | null = null;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #lastSign = performance.now();
  #stopped = false;
  /** Whether the server serves pulls that wait. Where it has few places for them, only a sign of it tells. */
  #served: boolean;
  /** Whether the server has ever answered. */
  #answered = false;
  readonly #stopFollowing: () => void;

  constructor(session: Session, stream: string, info: ConsumerInfo, events: PullEvents) {
    this.consumer = info.name;
    this.#served = isWide(info);
    this.goBy(info);
    this.#session = session;
    this.#subject = session.subjects.api(`CONSUMER.MSG.NEXT.${stream}.${this.consumer}`);
    this.#events = events;
    this.#inbox = session.inbox();
    this.#stopFollowing = session.onDenied((subject, error) => {
      if (subject === this.#subject) this.#fail(error.message);
    });
    this.#listening = session.subscribe(
      `${this.#inbox}.*`,
      (message) => this.#receive(message),
      (error) => this.#fail(error.message),
    );
  }

  /** Takes over the settings of the durable consumer. */
  goBy(info: ConsumerInfo): void {
    const { config, paused = false } = info;
    this.#limits.goBy(info);
    this.limit = config.max_ack_pending > 0 ? config.max_ack_pending : Infinity;
    this.lease = milliseconds(config.ack_wait);
    this.paused = paused;
  }

  /** Jobs that one pull may ask for. */
  get maxBatch(): number {
    return Math.min(this.limit, this.#limits.maxBatch);
  }

  /** Whether the server serves what is asked, as far as is known: not while it has never answered. */
  get isServed(): boolean {
    return this.#served && (this.#answered || this.#open === null);
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
    const pull = { left: batch, came: 0, waiting: false, request: this.#limits.fetching(batch), done: resolve };
    this.#send(pull);
    await promise;
    return pull.came;
  }

  /** While a limit is reached the server does not answer a pull that does not wait. So this one waits on when the others are asked. */
  async #fetchSoon(batch: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const pull = this.wait(batch, resolve);
    await settledWithin(promise, PATIENCE);
    return pull.came;
  }

  /** Lets the server hand over up to `batch` jobs as soon as they come. */
  wait(batch: number, done: () => void = () => {}): OpenPull {
    const pull = {
      left: batch,
      came: 0,
      waiting: true,
      request: this.#limits.waiting(batch),
      done: () => {
        done();
        this.#events.ready();
      },
    };
    this.#send(pull);
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
    this.#stopFollowing();
    clearTimeout(this.#watchdog);
    const open = this.#open;
    this.#open = null;
    if (open && !open.waiting) open.done();
  }

  #send(pull: OpenPull): void {
    this.#open = pull;
    this.#lastSign = performance.now();
    this.#watch(pull.waiting ? this.#limits.silence : FETCH_TIMEOUT);
    this.#request(pull.request, `${this.#inbox}.${++this.#sent}`);
  }

  #request(request: PullRequest, reply: string): void {
    this.#session.send(this.#subject, JSON.stringify(request), { reply });
  }

  #watch(silence: number, wait: number = silence, listened = false): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      const left = this.#lastSign + silence - performance.now();
      if (left > 0) this.#watch(silence, left);
      else if (!listened) this.#watch(silence, LISTEN, true);
      else this.#fallSilent(silence);
    }, wait);
  }

  #fallSilent(silence: number): void {
    if (!this.waiting) return this.#fail("the server went silent");
    this.#served = false;
    // What still comes is taken.
    this.#open = null;
    this.#events.silent(`no heartbeat for ${silence / 1_000} s`);
  }

  /** The server shows that it serves the pull that waits. */
  #showServed(): void {
    if (this.#served) return;
    this.#served = true;
    this.#events.served();
  }

  #showAnswered(): void {
    if (this.#answered) return;
    this.#answered = true;
    if (this.#served) this.#events.served();
  }

  #receive(message: Msg): void {
    this.#lastSign = performance.now();
    if (isAcknowledgement(message.reply)) {
      this.#showAnswered();
      if (this.waiting) this.#showServed();
      this.#events.deliver(message, this.waiting, this.#lastSign);
      const open = this.#open;
      if (open) open.came++;
      if (open && --open.left === 0) this.#close();
      return;
    }
    // What the server says of another pull is no news of this one.
    if (message.subject !== `${this.#inbox}.${this.#sent}`) return;
    this.#receiveStatus(message.headers?.code ?? 0, message.headers?.description ?? "");
  }

  #receiveStatus(code: number, description: string): void {
    if (code === 100 || code === 404 || code === 408) this.#showAnswered();
    if (this.waiting && (code === 100 || code === 408)) this.#showServed();
    if (code === 100) return;
    const lower = code === 409 && this.#open && this.#limits.lower(this.#open.request, description);
    if (lower && this.#open) {
      this.#open.request = lower;
      this.#open.left = Math.min(this.#open.left, lower.batch);
      return this.#send(this.#open);
    }
    if (code === 408 && this.waiting) return this.#expire();
    // 404: nothing there. 408: others wait for what is there. 409 for a limit: as good as nothing there.
    if (code === 404 || code === 408 || (code === 409 && /^Exceeded Max(AckPending|Waiting)/i.test(description))) {
      this.#close();
    } else this.#fail(`${code} ${description || "nobody answers"}`);
  }

  #expire(): void {
    clearTimeout(this.#watchdog);
    this.#open = null;
    this.#events.expired();
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
