import type { Msg } from "@nats-io/nats-core";
import { isAcknowledgement } from "../../wire/acknowledgement.ts";
import { nanoseconds } from "../../wire/durations.ts";
import type { Listening, Session } from "../../wire/session.ts";
import type { QueueNames } from "../format/queue_names.ts";
import type { Delivery } from "../delivery/delivery.ts";
import type { StartRate } from "../format/start_rate.ts";
import { PERMITS } from "../store/rate_permits.ts";

/** Milliseconds that a request for permits waits at the server. */
const WAIT_MS = 3_000;

/** Milliseconds behind that after which a request that got no answer is lost. */
const LOST_AFTER_MS = 1_000;

/** Milliseconds until permits are asked for again where there are none. */
const RETRY_MS = 500;

/** Milliseconds of the shortest interval whose unused permits are given back: of shorter ones they may come too late, and are soon there again. */
const MIN_RETURNED_INTERVAL_MS = 1_000;

/** Milliseconds over which permits are counted; for half as long jobs are fetched ahead, since permits may come in bursts. */
const COUNTED_MS = 1_000;

interface Permit {
  /** Subject of its acknowledgement. */
  readonly reply: string;
  /** When it was asked for: the server has not delivered it before. */
  readonly asked: number;
}

/** Gets the permits without which no job of a queue with a limit of its rate starts, one for each job that is there. */
export class Permits {
  readonly #names: QueueNames;
  readonly #arrived: () => void;
  #rate: StartRate | null = null;
  #session: Session | null = null;
  #listening: Listening | null = null;
  #stopFollowing: () => void = () => {};
  #inbox = "";
  #requests = 0;
  /** Requests whose permits have not all come: how many are left, and when they were sent, by `performance.now()`. */
  readonly #asked: Map<string, { left: number; readonly at: number }> = new Map();
  readonly #timers: Set<ReturnType<typeof setTimeout>> = new Set();
  /** The permit that has just arrived and is not taken. */
  #inHand: Permit | null = null;
  /** Those that were taken, by their jobs. */
  readonly #taken: WeakMap<Delivery, Permit> = new WeakMap();
  #isWaiting = false;
  #reason: string | null = null;
  /** Permits that came in the present span of time, and in the one before. */
  #counted = { since: 0, now: 0, before: 0 };

  /** @param arrived Called when a permit is there: what it does not take at once is given back. */
  constructor(names: QueueNames, arrived: () => void) {
    this.#names = names;
    this.#arrived = arrived;
  }

  /** Whether the rate is limited. */
  get isLimited(): boolean {
    return this.#rate !== null;
  }

  /** Why no permits come, or `null`. */
  get reason(): string | null {
    return this.#reason;
  }

  /** How many jobs may wait for a permit: what starts within the time that it takes to fetch the next ones. `Infinity` without a limit. */
  get ahead(): number {
    if (!this.#rate) return Infinity;
    this.#turn();
    const { before, now } = this.#counted;
    return Math.max(1, Math.ceil(Math.max(before, now) / 2));
  }

  /** The limit in force over a session. */
  serve(session: Session, rate: StartRate | null): void {
    this.#rate = rate;
    if (session === this.#session && this.#listening && rate) return;
    this.stop();
    if (!rate) return this.#arrived();
    this.#session = session;
    this.#inbox = session.inbox();
    const subject = this.#subject(session);
    this.#stopFollowing = session.onDenied((denied, error) => {
      if (denied === subject) this.#none(error.message);
      // Jobs start nevertheless, and those of a slow process too close to the next ones.
      else if (this.#isPermit(denied)) session.warnOnce(error.message);
    });
    this.#listening = session.subscribe(
      `${this.#inbox}.*`,
      (message) => this.#receive(message),
      (error) => this.#none(error.message),
    );
    this.#arrived();
  }

  /** Asks for no more. */
  stop(): void {
    this.#listening?.stop();
    this.#stopFollowing();
    this.#listening = null;
    this.#session = null;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#asked.clear();
    this.#isWaiting = false;
    this.#inHand = null;
    this.#reason = null;
  }

  /**
   * Takes a permit for a job that is to start now; without one, requests as many as are needed.
   *
   * @param capacity Tells how many are needed.
   */
  take(delivery: Delivery, capacity: { readonly startable: number }): boolean {
    if (!this.#rate) return true;
    if (this.#inHand === null) {
      this.#ask(capacity.startable);
      return false;
    }
    this.#taken.set(delivery, this.#inHand);
    this.#inHand = null;
    this.started(delivery);
    return true;
  }

  /** A job starts, which may be later than it took its permit: only now the interval begins after which the server gives that out again. */
  started(delivery: Delivery): void {
    const permit = this.#taken.get(delivery);
    if (permit) this.#session?.send(permit.reply, "+WPI");
  }

  /** A job that took a permit does not start. */
  unused(delivery: Delivery): void {
    const permit = this.#taken.get(delivery);
    if (permit) this.#giveBack(permit);
  }

  /** Lets the server deliver a permit again at once, unless it may have been delivered long ago: another worker could have it meanwhile. */
  #giveBack({ reply, asked }: Permit): void {
    const interval = this.#rate?.interval ?? 0;
    if (interval < MIN_RETURNED_INTERVAL_MS || performance.now() - asked >= interval / 2) return;
    this.#session?.send(reply, "-NAK");
  }

  #ask(needed: number): void {
    const session = this.#session;
    const batch = needed - [...this.#asked.values()].reduce((sum, { left }) => sum + left, 0);
    if (!session || session.signal.aborted || this.#isWaiting || batch <= 0) return;
    const reply = `${this.#inbox}.${++this.#requests}`;
    this.#asked.set(reply, { left: batch, at: performance.now() });
    session.send(this.#subject(session), JSON.stringify({ batch, expires: nanoseconds(WAIT_MS) }), { reply });
    this.#later(WAIT_MS + LOST_AFTER_MS, () => {
      if (this.#asked.delete(reply)) this.#arrived();
    });
  }

  /** Whether a subject is that for the acknowledgement of a permit. */
  #isPermit(subject: string): boolean {
    return isAcknowledgement(subject) && subject.includes(`.${this.#names.permitStream}.${PERMITS}.`);
  }

  #subject(session: Session): string {
    return session.subjects.api(`CONSUMER.MSG.NEXT.${this.#names.permitStream}.${PERMITS}`);
  }

  #receive(message: Msg): void {
    if (!isAcknowledgement(message.reply)) return this.#receiveStatus(message);
    // Anybody may have sent it: nothing is said of other streams' messages.
    if (!this.#isPermit(message.reply)) return;
    // The subject of a permit is its own, so requests end in the order in which they were made.
    const [request, asked] = this.#asked.entries().next().value ?? ["", { left: 0, at: -Infinity }];
    if (--asked.left <= 0) this.#asked.delete(request);
    this.#reason = null;
    this.#turn();
    this.#counted.now++;
    this.#inHand = { reply: message.reply, asked: asked.at };
    this.#arrived();
    if (this.#inHand) this.#giveBack(this.#inHand);
    this.#inHand = null;
  }

  #receiveStatus({ subject, headers }: Msg): void {
    this.#asked.delete(subject);
    // Its time is over, as there is no permit now: that is what the limit is for.
    if (headers?.code === 408) {
      this.#reason = null;
      return this.#arrived();
    }
    this.#none(`${headers?.code ?? ""} ${headers?.description || "no responders"}`.trim());
  }

  /** There are no permits: the limit may just have changed. */
  #none(reason: string): void {
    this.#reason = `no permits arrive for the queue's rate limit (${reason}): set the limit again with limitRate()`;
    this.#asked.clear();
    this.#isWaiting = true;
    this.#later(RETRY_MS, () => {
      this.#isWaiting = false;
      this.#arrived();
    });
  }

  #later(ms: number, then: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      then();
    }, ms);
    this.#timers.add(timer);
  }

  /** Begins the next span of time in which permits are counted. */
  #turn(): void {
    const now = performance.now();
    const spans = Math.floor((now - this.#counted.since) / COUNTED_MS);
    if (spans > 0) this.#counted = { since: now, now: 0, before: spans === 1 ? this.#counted.now : 0 };
  }
}
