import { backoff } from "../../connection/backoff.ts";
import { delay, settledWithin } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { Session } from "../../wire/session.ts";
import { streamInfo } from "../../wire/streams.ts";
import { QueueSubscription, type ServedJobs, type SubscriptionEvents } from "./queue_subscription.ts";
import type { QueueParts } from "../store/queue_parts.ts";
import { ServiceLog } from "./_service_log.ts";
import { messageOf } from "../format/thrown.ts";

const MEND = { base: 50, max: 2_000 };

/** Milliseconds that jobs which are under way to us may take, before it opens anew. */
const UNDER_WAY = 1_000;

/** Milliseconds after which an subscription that breaks off has served: longer than the server's silence takes to be noticed. */
const LASTING = 10_000;

/** Milliseconds between two looks whether a queue that was destroyed is made again, unless that is told. */
const LOOK_AGAIN_MS = { base: 500, max: 10_000 };

/** Milliseconds after which it looks when it is told that the settings have changed. */
const TOLD_PAUSE_MS = 50;

const DESTROYED = "the queue was destroyed";

/** What a source asks and tells its consumer. */
export interface JobSourceEvents extends SubscriptionEvents {
  /** The stream is another one: nothing of what was handed out so far is ours. */
  replaced(): void;
  /** Over this session serves the stream that was made then: what is ours was handed out by it. */
  opened(session: Session, created: string): void;
  /** It may be another one by now. */
  unsure(): void;
}

/** Brings the jobs of the chosen durable consumers to this process, session after session, and mends what breaks. */
export class JobSource {
  readonly #parts: QueueParts;
  readonly #served: ServedJobs;
  readonly #events: JobSourceEvents;
  readonly #over: AbortSignal;
  #subscription: QueueSubscription | null = null;
  #created = "";
  /** Whether the queue was destroyed, and has not been made again: not by a worker, which would undo it at once. */
  #isDestroyed = false;
  readonly #log: ServiceLog;

  /** @param over Stops it. */
  constructor(parts: QueueParts, served: ServedJobs, events: JobSourceEvents, over: AbortSignal) {
    this.#parts = parts;
    this.#served = served;
    this.#events = events;
    this.#over = over;
    this.#log = new ServiceLog(parts.context.logger, parts.names.queue);
  }

  /** Fetches as many jobs as are wanted. */
  fill(): void {
    this.#subscription?.fill();
  }

  /** Begins anew, and takes nothing of what is under way. */
  reopen(reason: string): void {
    this.#subscription?.reopen(reason);
  }

  /** Asks for no more, and takes what is under way. */
  async drain(): Promise<void> {
    await this.#subscription?.drain();
  }

  /** Serves a session until it ends. */
  async serve(session: Session): Promise<void> {
    const stop = AbortSignal.any([session.signal, this.#over]);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    stop.addEventListener("abort", () => end(), { once: true });
    // Over a new session a queue that is missing may be one of another server, that never had it.
    let mayCreate = !this.#isDestroyed;
    for (let failures = 0; !stop.aborted;) {
      const subscription = new QueueSubscription(session, ended, this.#parts, this.#served, this.#events);
      try {
        if (!await subscription.open(mayCreate)) {
          await this.#waitUntilMade(session, stop);
          continue;
        }
        mayCreate = false;
        const opened = performance.now();
        if (!stop.aborted) this.#begin(session, subscription);
        const broken = Promise.race([subscription.broken, ended]);
        // Only while it is told otherwise is there something to tell.
        if (this.#log.hasTold && !await settledWithin(broken, LASTING)) this.#log.served();
        const reason = await broken;
        this.#events.unsure();
        if (performance.now() - opened > LASTING) {
          failures = 0;
          this.#log.served();
        }
        if (reason !== undefined && !stop.aborted) {
          // What breaks off again and again is never served.
          if (failures > 1) this.#complain(new Error(reason));
          this.#events.serves("impaired", reason);
          await settledWithin(subscription.drain(), UNDER_WAY);
        }
      } catch (error) {
        if (!stop.aborted) this.#complain(error);
      }
      subscription.close();
      if (stop.aborted) return;
      this.#parts.stream.forget();
      await delay(backoff(++failures, MEND), { signal: stop, persistent: false });
    }
  }

  /** Releases what it has of a queue that was destroyed, and waits until a publish or a new worker makes the queue again. */
  async #waitUntilMade(session: Session, stop: AbortSignal): Promise<void> {
    const { context: { logger, timeout }, names } = this.#parts;
    this.#parts.stream.forget();
    this.#events.replaced();
    this.#events.serves("impaired", DESTROYED);
    if (!this.#isDestroyed) logger.warn(`Queue ${names.queue} was destroyed: its worker waits until it is made again`);
    this.#isDestroyed = true;
    let told = new AbortController();
    const listening = session.subscribe(names.changed, () => told.abort(), () => {});
    for (let looks = 1; !stop.aborted; looks++) {
      const signal = AbortSignal.any([stop, told.signal]);
      await delay(backoff(looks, LOOK_AGAIN_MS), { signal, persistent: false });
      // However often it is told.
      if (told.signal.aborted) await delay(TOLD_PAUSE_MS, { signal: stop, persistent: false });
      told = new AbortController();
      const made = await streamInfo(session, names.stream, performance.now() + timeout).catch(() => null);
      if (made) break;
    }
    listening.stop();
  }

  #begin(session: Session, subscription: QueueSubscription): void {
    const { context: { logger }, names } = this.#parts;
    if (this.#isDestroyed) logger.info(`Queue ${names.queue} was made again: its worker goes on`);
    this.#isDestroyed = false;
    // A stream that was made again counts from 1: what the old one handed out has no meaning here.
    if (this.#created !== "" && this.#created !== subscription.created) this.#events.replaced();
    this.#created = subscription.created;
    this.#events.opened(session, subscription.created);
    this.#subscription = subscription;
    subscription.fill();
    subscription.tellState();
  }

  #complain(error: unknown): void {
    const reason = messageOf(error);
    this.#events.serves("impaired", reason);
    this.#log.failed(reason, error instanceof Unavailable);
  }
}
