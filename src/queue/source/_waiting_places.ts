import { callWithin } from "../../wire/call.ts";
import { backoff } from "../../connection/backoff.ts";
import { delay } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { ConsumerInfo } from "../store/durable_consumer.ts";
import type { PullSource } from "./_pull_listener.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { Session } from "../../wire/session.ts";
import { widenConsumer } from "./_widen_consumer.ts";
import { messageOf } from "../../shown.ts";

/** Milliseconds between two attempts to get a place. */
const RETRY_DELAY_MS = { base: 4_000, max: 16_000 };

/** The part of the places that are taken where all were taken a moment ago: now and then a pull comes to its end, and the next one follows. */
const NEARLY_ALL_PLACES = 0.95;

/** The subscription of a worker that has no place at a durable consumer. */
export interface WaitingPlacesListener {
  /** Why the worker is not served. */
  full(reason: string): void;
  /** There may be a place now. */
  fill(): void;
}

/**
 * Looks after the durable consumers at which a worker has no place: as many pull requests wait there as may, and the server does not answer one more.
 * Such a worker polls at long intervals, and makes the durable consumer again with more places once that loses nothing.
 */
export class WaitingPlaces {
  readonly #session: Session;
  readonly #queue: QueueContext;
  readonly #listener: WaitingPlacesListener;
  readonly #over = new AbortController();
  readonly #full: Set<PullSource> = new Set();
  #failures = 0;
  #retrying = false;

  constructor(session: Session, queue: QueueContext, listener: WaitingPlacesListener) {
    this.#session = session;
    this.#queue = queue;
    this.#listener = listener;
  }

  /** Whether the worker has no place at this one. */
  areFull(pulls: PullSource): boolean {
    return this.#full.has(pulls);
  }

  /** The durable consumer has no place; returns whether that is so. */
  note(pulls: PullSource, { name, config, num_waiting }: ConsumerInfo): boolean {
    const { max_waiting = 0 } = config;
    if (num_waiting < max_waiting * NEARLY_ALL_PLACES) return false;
    this.#full.add(pulls);
    const reason =
      `all ${max_waiting} places of the durable consumer ${name} for waiting workers (max_waiting) are taken`;
    const what = `A worker of queue ${this.#queue.names.queue} is not served`;
    this.#session.warnOnce(`${what} (${reason}), retrying`, what);
    this.#listener.full(reason);
    this.#retryLater();
    return true;
  }

  /** The server serves it at all durable consumers. */
  served(): void {
    this.#failures = 0;
  }

  /** Ends its attempts. */
  stop(): void {
    this.#over.abort();
  }

  async #retryLater(): Promise<void> {
    if (this.#retrying) return;
    this.#retrying = true;
    const { signal } = this.#over;
    await delay(backoff(++this.#failures, RETRY_DELAY_MS), { signal, persistent: false });
    for (const { consumer } of this.#full) {
      if (!signal.aborted) await this.#widen(consumer);
    }
    this.#retrying = false;
    this.#full.clear();
    if (!signal.aborted) this.#listener.fill();
  }

  async #widen(consumer: string): Promise<void> {
    const { context: { logger, timeout }, names } = this.#queue;
    const call = callWithin(this.#session, timeout);
    const what = `The durable consumer ${consumer} of queue ${names.queue}`;
    try {
      if (await widenConsumer(call, names, consumer)) logger.info(`${what} was made again for more workers`);
    } catch (error) {
      // Without the permission it polls, and says so once.
      if (this.#failures > 1 || error instanceof Unavailable) return;
      logger.warn(`${what} cannot be made again for more workers: ${messageOf(error)}`);
    }
  }
}
