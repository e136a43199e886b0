import { callWithin } from "../../wire/call.ts";
import { backoff } from "../../connection/backoff.ts";
import { delay, settledWithin } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { Session } from "../../wire/session.ts";
import { streamInfo } from "../../wire/streams.ts";
import type { QueueContext } from "../store/queue_context.ts";
import { QueueSubscription, type ServedJobs, type SourceDemand } from "./_queue_subscription.ts";
import { ServiceLog } from "./_service_log.ts";
import type { SourceListener } from "./source_listener.ts";
import type { StreamIdentity } from "../delivery/stream_identity.ts";
import { messageOf } from "../../shown.ts";

/** Milliseconds between two subscriptions in one session. */
const RETRY_DELAY_MS = { base: 50, max: 2_000 };

/** Milliseconds that jobs which are under way may take, before it subscribes anew. */
const DRAIN_TIMEOUT_MS = 1_000;

/** Milliseconds after which a subscription that breaks off has served: longer than a silence of the server takes to be noticed. */
const SERVED_AFTER_MS = 10_000;

/** Milliseconds between two checks that a destroyed queue was made again, unless that is announced. */
const LOOK_AGAIN_MS = { base: 500, max: 10_000 };

/** Milliseconds after which it looks when changed settings are announced. */
const LOOK_AFTER_CHANGE_MS = 50;

const DESTROYED = "the queue was destroyed";

/** Brings the jobs of the chosen durable consumers to this process, session after session, and subscribes anew when that breaks off. */
export class JobSource {
  readonly #queue: QueueContext;
  readonly #served: ServedJobs;
  readonly #demand: SourceDemand;
  readonly #identity: StreamIdentity;
  readonly #listener: SourceListener;
  readonly #over: AbortSignal;
  #subscription: QueueSubscription | null = null;
  /** Resolves when the present session has ended. */
  #ended: Promise<void> = Promise.resolve();
  /** Whether the queue was destroyed, and has not been made again: not by a worker, which would undo it at once. */
  #isDestroyed = false;
  readonly #log: ServiceLog;

  /**
   * @param identity Is kept up to date.
   * @param over Stops it.
   */
  constructor(
    queue: QueueContext,
    served: ServedJobs,
    demand: SourceDemand,
    { identity, listener }: { identity: StreamIdentity; listener: SourceListener },
    over: AbortSignal,
  ) {
    this.#queue = queue;
    this.#served = served;
    this.#demand = demand;
    this.#identity = identity;
    this.#listener = listener;
    this.#over = over;
    this.#log = new ServiceLog(queue.context.logger, queue.names.queue);
  }

  /** Fetches as many jobs as are wanted. */
  fill(): void {
    this.#subscription?.fill();
  }

  /** Subscribes anew, and takes nothing of what is under way. */
  restart(reason: string): void {
    this.#subscription?.abandon(reason);
  }

  /** Asks for no more, and takes what is under way. Once the session has ended nothing is. */
  async drain(): Promise<void> {
    await Promise.race([this.#ended, Promise.allSettled([this.#subscription?.drain()])]);
  }

  /** Serves a session until it ends. */
  async serve(session: Session): Promise<void> {
    const stop = AbortSignal.any([session.signal, this.#over]);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    stop.addEventListener("abort", () => resolve(), { once: true });
    // Over a new session a queue that is missing may be one of another server, that never had it.
    let mayCreate = !this.#isDestroyed;
    for (let failures = 0; !stop.aborted;) {
      const subscription = new QueueSubscription(session, this.#queue, this.#served, this.#demand, this.#listener);
      try {
        if (!await subscription.open(mayCreate)) {
          await this.#waitUntilMade(session, stop);
          continue;
        }
        mayCreate = false;
        if (await this.#untilBroken(session, subscription, failures, stop)) failures = 0;
      } catch (error) {
        if (!stop.aborted) this.#complain(error);
      } finally {
        subscription.close();
      }
      if (stop.aborted) return;
      this.#queue.stream.forget();
      await delay(backoff(++failures, RETRY_DELAY_MS), { signal: stop, persistent: false });
    }
  }

  /** Returns whether it has served before it broke off. */
  async #untilBroken(
    session: Session,
    subscription: QueueSubscription,
    failures: number,
    stop: AbortSignal,
  ): Promise<boolean> {
    const opened = performance.now();
    if (!stop.aborted) this.#begin(session, subscription);
    const broken = Promise.race([subscription.whenBroken, this.#ended]);
    // Only after a failure was logged there is something to log.
    if (this.#log.hasLogged && !await settledWithin(broken, SERVED_AFTER_MS)) this.#log.served();
    const reason = await broken;
    this.#identity.doubt();
    const hasServed = performance.now() - opened > SERVED_AFTER_MS;
    if (hasServed) this.#log.served();
    if (reason === undefined || stop.aborted) return hasServed;
    // What breaks off again and again never serves.
    if (!hasServed && failures > 1) this.#complain(new Error(reason));
    this.#listener.serves("impaired", reason);
    await settledWithin(this.drain(), DRAIN_TIMEOUT_MS);
    return hasServed;
  }

  #begin(session: Session, subscription: QueueSubscription): void {
    const { context: { logger }, names } = this.#queue;
    if (this.#isDestroyed) logger.info(`Queue ${names.queue} was made again: its worker continues`);
    this.#isDestroyed = false;
    // A stream that was made again counts from 1: what the old one delivered has no meaning here.
    if (this.#identity.confirm(session, subscription.created)) this.#demand.held.releaseAll("The queue was deleted");
    this.#listener.opened(session);
    this.#subscription = subscription;
    subscription.fill();
    subscription.tellState();
  }

  /** Releases what is held of a queue that was destroyed, and waits until a publish or a new worker makes the queue again. */
  async #waitUntilMade(session: Session, stop: AbortSignal): Promise<void> {
    const { context: { logger }, names, stream } = this.#queue;
    stream.forget();
    this.#demand.held.releaseAll("The queue was deleted");
    this.#listener.serves("impaired", DESTROYED);
    if (!this.#isDestroyed) logger.warn(`Queue ${names.queue} was destroyed: its worker waits until it is made again`);
    this.#isDestroyed = true;
    let changed = new AbortController();
    const listening = session.subscribe(names.changed, () => changed.abort(), () => {});
    for (let looks = 1; !stop.aborted; looks++) {
      const signal = AbortSignal.any([stop, changed.signal]);
      await delay(backoff(looks, LOOK_AGAIN_MS), { signal, persistent: false });
      // However often changes are announced.
      if (changed.signal.aborted) await delay(LOOK_AFTER_CHANGE_MS, { signal: stop, persistent: false });
      changed = new AbortController();
      if (stop.aborted || await this.#isMade(session)) break;
    }
    listening.stop();
  }

  /** Whether there is the queue; what keeps it from knowing is in the status and, once, in the log. */
  async #isMade(session: Session): Promise<boolean> {
    const { context: { timeout }, names } = this.#queue;
    try {
      const isMade = await streamInfo(callWithin(session, timeout), names.stream) !== null;
      if (!isMade) this.#listener.serves("impaired", DESTROYED);
      return isMade;
    } catch (error) {
      if (!session.signal.aborted) this.#complain(error);
      return false;
    }
  }

  #complain(error: unknown): void {
    const reason = messageOf(error);
    this.#listener.serves("impaired", reason);
    this.#log.failed(reason, error instanceof Unavailable);
  }
}
