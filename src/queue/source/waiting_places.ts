import { backoff } from "../../connection/backoff.ts";
import { delay } from "../../delay.ts";
import type { Logger } from "../../connection/logger.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { ConsumerInfo } from "../store/durable_consumer.ts";
import type { Pulls } from "./pulls.ts";
import type { QueueCall } from "../store/queue_call.ts";
import { messageOf } from "../format/thrown.ts";
import { widenConsumer } from "./widen_consumer.ts";

/** Milliseconds between two attempts to get a place. */
const RETRY_MS = { base: 4_000, max: 16_000 };

/** The part of the places that are taken where all were taken a moment ago: now and then a pull comes to its end, and the next one follows. */
const NEARLY_ALL = 0.95;

/** What a worker does that has no place at a durable consumer. */
export interface WaitingPlacesEvents {
  /** Why the worker is not served. */
  full(reason: string): void;
  /** It is time to try again. */
  retry(): void;
}

/**
 * Looks after the durable consumers at which a worker has no place: as many pull requests wait there as may. The server says nothing to one more. Such
 * a worker polls, seldom, and makes the durable consumer again with more places once that loses nothing.
 */
export class WaitingPlaces {
  readonly #call: () => QueueCall;
  readonly #logger: Logger;
  readonly #events: WaitingPlacesEvents;
  readonly #over = new AbortController();
  readonly #full: Set<Pulls> = new Set();
  #failures = 0;
  #told = false;
  #retrying = false;

  constructor(call: () => QueueCall, logger: Logger, events: WaitingPlacesEvents) {
    this.#call = call;
    this.#logger = logger;
    this.#events = events;
  }

  /** Whether the worker has no place at this one. */
  has(pulls: Pulls): boolean {
    return this.#full.has(pulls);
  }

  /** The durable consumer has no place; tells whether that is so. */
  note(pulls: Pulls, { name, config, num_waiting }: ConsumerInfo): boolean {
    const { max_waiting = 0 } = config;
    if (num_waiting < max_waiting * NEARLY_ALL) return false;
    this.#full.add(pulls);
    const reason =
      `all ${max_waiting} places of the durable consumer ${name} for waiting workers (max_waiting) are taken`;
    if (!this.#told) {
      this.#told = true;
      const { names } = this.#call();
      this.#logger.warn(`A worker of queue ${names.queue} is not served (${reason}), retrying`);
    }
    this.#events.full(reason);
    this.#retryLater();
    return true;
  }

  /** The server serves it at all durable consumers. */
  served(): void {
    this.#failures = 0;
  }

  /** Tries no more. */
  stop(): void {
    this.#over.abort();
  }

  async #retryLater(): Promise<void> {
    if (this.#retrying) return;
    this.#retrying = true;
    const { signal } = this.#over;
    await delay(backoff(++this.#failures, RETRY_MS), { signal, persistent: false });
    for (const { consumer } of this.#full) {
      if (!signal.aborted) await this.#widen(consumer);
    }
    this.#retrying = false;
    this.#full.clear();
    if (!signal.aborted) this.#events.retry();
  }

  async #widen(consumer: string): Promise<void> {
    try {
      const call = this.#call();
      if (!await widenConsumer(call, consumer)) return;
      this.#logger.info(
        `The durable consumer ${consumer} of queue ${call.names.queue} was made again for more workers`,
      );
    } catch (error) {
      const { queue } = this.#call().names;
      // Without the permission it polls; it is told once.
      if (this.#failures > 1 || error instanceof Unavailable) return;
      this.#logger.warn(
        `The durable consumer ${consumer} of queue ${queue} cannot be made again for more workers: ${messageOf(error)}`,
      );
    }
  }
}
