import type { Msg } from "@nats-io/nats-core";
import { settledWithin } from "../../delay.ts";
import { isAcknowledgement } from "../../wire/acknowledgement.ts";
import { milliseconds, nanoseconds } from "../../wire/durations.ts";
import type { Listening, Session } from "../../wire/session.ts";
import { SilenceWatch } from "./_silence_watch.ts";
import type { ConsumerInfo } from "../store/durable_consumer.ts";
import type { OpenPull } from "./_open_pull.ts";
import type { PullListener, PullSource } from "./_pull_listener.ts";
import { isWide, PullLimits, type PullRequest } from "./_pull_limits.ts";

/** Milliseconds within which the server must answer a pull that does not wait. */
const FETCH_TIMEOUT_MS = 5_000;

/** Milliseconds that a consumer with a limit has to answer, before another one is asked. */
const LIMITED_FETCH_TIMEOUT_MS = 10;

/** Milliseconds that a pull may wait which holds a part of the connection's budget of bytes. */
const BUDGETED_WAIT_MS = 1_000;

/** Milliseconds that a nudge waits. One that does not wait is refused at once while another pull waits. */
const NUDGE_MS = 100;

/**
 * Asks one durable consumer for jobs, over one session.
 *
 * At most one pull is out at a time: one that takes what is there, or, when nothing is, one that waits. Waiting costs the server no polling.
 */
export class Pulls implements PullSource {
  /** How many jobs may be active at a time, of all workers together: `Infinity` without a limit, 1 for the partitions of keys. */
  limit = Infinity;
  /** Milliseconds after which the server delivers an unreported job again. */
  lease = 0;
  /** Whether the consumer is paused: the server delivers nothing. */
  paused = false;
  /** The durable consumer's name. */
  readonly consumer: string;
  readonly #session: Session;
  readonly #stream: string;
  readonly #subject: string;
  readonly #listener: PullListener;
  readonly #limits = new PullLimits();
  readonly #inbox: string;
  readonly #listening: Listening;
  /** Pulls that were sent. */
  #sent = 0;
  /** Bytes that a pull must request, as a job was larger than the last one; 0: no more than usual. */
  #least = 0;
  #open: OpenPull | null = null;
  readonly #watch = new SilenceWatch((silence) => this.#fallSilent(silence));
  #stopped = false;
  /** Whether the server serves pulls that wait. Where it has few places for them, only a heartbeat shows it. */
  #served: boolean;
  /** Whether the server was ever asked, and whether it has ever answered. */
  #asked = false;
  #answered = false;
  readonly #stopFollowing: () => void;

  constructor(session: Session, stream: string, info: ConsumerInfo, listener: PullListener) {
    this.consumer = info.name;
    this.#served = isWide(info);
    this.goBy(info);
    this.#session = session;
    this.#stream = stream;
    this.#subject = session.subjects.api(`CONSUMER.MSG.NEXT.${stream}.${this.consumer}`);
    this.#listener = listener;
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

  /** Jobs that one pull may request. */
  get maxBatch(): number {
    return Math.min(this.limit, this.#limits.maxBatch);
  }

  /** Whether the server serves what is asked, as far as is known: not while it has never answered. */
  get isServed(): boolean {
    return this.#served && (this.#answered || !this.#asked);
  }

  /** Whether a waiting pull is out: the consumer had nothing when last asked. */
  get waiting(): boolean {
    return this.#open?.waiting === true;
  }

  /** Whether it has stopped, or broke. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Fetches up to `batch` jobs that are there; resolves when they are delivered, or the server has no more. Returns how many there were. */
  fetch(batch: number): Promise<number> {
    this.#asked = true;
    return this.limit === Infinity ? this.#fetchNow(batch) : this.#fetchSoon(batch);
  }

  /** The server is asked for a share of the connection's budget of bytes at a time. */
  async #fetchNow(batch: number): Promise<number> {
    for (let came = 0;;) {
      const held = await this.#acquire(batch - came);
      if (held === null) return came;
      const { promise, resolve: done } = Promise.withResolvers<void>();
      const request = { ...this.#limits.fetching(batch - came), max_bytes: held };
      const pull: OpenPull = { left: batch - came, came: 0, waiting: false, held, cut: false, request, done };
      this.#send(pull);
      await promise;
      came += pull.came;
      if (!pull.cut || came >= batch || this.#stopped) return came;
    }
  }

  /** While a limit is reached the server does not answer a pull that does not wait. So this one keeps waiting when the others are asked. */
  async #fetchSoon(batch: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // For a job that is larger than what may be delivered unasked, bytes are held for the short time of the wait.
    const held = this.#least > 0 ? await this.#acquire(1) : 0;
    if (held === null) return 0;
    const pull = this.wait(batch, resolve, held);
    await settledWithin(promise, LIMITED_FETCH_TIMEOUT_MS);
    return pull.came;
  }

  /** Acquires the bytes of some jobs; `null` if it was stopped meanwhile. */
  async #acquire(jobs: number): Promise<number | null> {
    const { incoming } = this.#session;
    const bytes = Math.max(this.#least, incoming.several(this.#stream, jobs));
    return await incoming.acquire(bytes, () => !this.#stopped) ? bytes : null;
  }

  /**
   * Lets the server deliver up to `batch` jobs as soon as they are stored.
   *
   * @param held Bytes of the connection's budget that are acquired for it; without them it is for the few that may be delivered unasked.
   */
  wait(batch: number, done: () => void = () => {}, held: number = 0): OpenPull {
    const request = this.#limits.waiting(batch, held > 0 ? BUDGETED_WAIT_MS : undefined);
    const pull: OpenPull = {
      left: batch,
      came: 0,
      waiting: true,
      held,
      cut: false,
      request: { ...request, max_bytes: held || this.#session.incoming.waits() },
      done: () => {
        done();
        this.#listener.ended(this, false);
      },
    };
    this.#send(pull);
    return pull;
  }

  /**
   * Makes the server look at the pull that waits, which after a pause it does only when something else happens. A second pull would leave two of
   * them, and to stop listening to the first would lose what is under way to it between the servers of a cluster.
   */
  nudge(): void {
    if (this.waiting) this.#request({ batch: 1, expires: nanoseconds(NUDGE_MS) }, `${this.#inbox}.nudge`);
  }

  /** Stops listening at once. A job that is under way is delivered again when its lease is over. */
  stop(): void {
    this.#listening.stop();
    this.#abandon();
  }

  /** Asks for no more, and takes what is under way. */
  async drain(): Promise<void> {
    this.#stopped = true;
    await this.#listening.drain();
    this.#abandon();
  }

  #abandon(): void {
    this.#stopped = true;
    this.#stopFollowing();
    const open = this.#end();
    if (open && !open.waiting) open.done();
  }

  /** Ends the pull that is out; returns it. */
  #end(): OpenPull | null {
    this.#watch.stop();
    const open = this.#open;
    this.#open = null;
    if (open && open.held > 0) this.#session.incoming.give(open.held);
    else if (open) this.#session.incoming.waited();
    return open;
  }

  #send(pull: OpenPull): void {
    this.#open = pull;
    this.#watch.start(pull.waiting ? this.#limits.silence : FETCH_TIMEOUT_MS);
    this.#request(pull.request, `${this.#inbox}.${++this.#sent}`);
  }

  #request(request: PullRequest, reply: string): void {
    this.#session.send(this.#subject, JSON.stringify(request), { reply });
  }

  #fallSilent(silence: number): void {
    if (!this.waiting) return this.#fail("no answer to a pull request");
    this.#served = false;
    // What is still delivered is taken.
    this.#end();
    this.#listener.silent(this, `no heartbeat for ${silence / 1_000} s`);
  }

  /** The server shows that it serves the pull that waits. */
  #showServed(): void {
    if (this.#served) return;
    this.#served = true;
    this.#listener.served();
  }

  #showAnswered(): void {
    if (this.#answered) return;
    this.#answered = true;
    if (this.#served) this.#listener.served();
  }

  #receive(message: Msg): void {
    this.#watch.sign();
    if (isAcknowledgement(message.reply)) {
      this.#showAnswered();
      if (this.waiting) this.#showServed();
      this.#least = 0;
      this.#session.incoming.note(this.#stream, message.data.length);
      this.#listener.delivered(this, message, this.waiting, this.#watch.lastSign);
      const open = this.#open;
      if (open) open.came++;
      if (open && --open.left === 0) this.#close();
      return;
    }
    // A status of an earlier pull does not concern this one.
    if (message.subject !== `${this.#inbox}.${this.#sent}`) return;
    this.#receiveStatus(message.headers?.code ?? 0, message.headers?.description ?? "");
  }

  #receiveStatus(code: number, description: string): void {
    if (code === 100 || code === 404 || code === 408) this.#showAnswered();
    if (this.waiting && (code === 100 || code === 408)) this.#showServed();
    // Not all of the bytes were needed.
    if (code === 100 || (code === 409 && /^Batch Completed/i.test(description))) return;
    const lower = code === 409 && this.#open && this.#limits.lower(this.#open.request, description);
    if (lower && this.#open) {
      this.#open.request = { ...lower, max_bytes: this.#open.request.max_bytes };
      this.#open.left = Math.min(this.#open.left, lower.batch);
      return this.#send(this.#open);
    }
    if (code === 408 && this.waiting) return this.#expire();
    if (code === 409 && /exceeds maxbytes/i.test(description)) return this.#cut();
    // 404: nothing there. 408: others wait for what is there. 409 for a limit: nothing to be had now.
    if (code === 404 || code === 408 || (code === 409 && /^Exceeded Max(AckPending|Waiting)/i.test(description))) {
      this.#close();
    } else this.#fail(`${code} ${description || "no responders"}`);
  }

  #expire(): void {
    this.#end();
    this.#listener.ended(this, true);
  }

  /** The next job is larger than what is left of the bytes that the pull has asked for. */
  #cut(): void {
    const open = this.#open;
    if (!open) return;
    this.#showAnswered();
    if (open.waiting) this.#showServed();
    open.cut = true;
    if (open.came === 0) this.#least = Math.max(2 * open.held, this.#session.incoming.one(this.#stream, Infinity));
    this.#close();
  }

  #close(): void {
    this.#end()?.done();
  }

  #fail(reason: string): void {
    this.stop();
    this.#listener.broken(this, reason);
  }
}
