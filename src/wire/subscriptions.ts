import type { Msg, NatsConnection, Subscription, SubscriptionOptions } from "@nats-io/nats-core";
import { setImmediate } from "node:timers";
import { JetStreamStoreError } from "../errors.ts";

/** What the server says when it refuses a subscription without naming it. */
const TOO_MANY = /maximum subscriptions exceeded/i;

/** What becomes of a subscription. */
export interface SubscriptionEvents {
  receive(message: Msg): void;
  /** The server refused it, now or later: nothing arrives any more. */
  refused(error: JetStreamStoreError): void;
}

/** One subscription of a connection, until it is stopped or refused. */
export class OwnSubscription {
  readonly #nc: NatsConnection;
  readonly #subscription: Subscription;
  readonly #events: SubscriptionEvents;
  #over = false;

  constructor(nc: NatsConnection, subject: string, events: SubscriptionEvents, group?: string) {
    this.#nc = nc;
    this.#events = events;
    const options: SubscriptionOptions = {
      ...(group && { queue: group }),
      callback: (error, message) => {
        if (error) this.refuse(deniedError("subscription", subject, error));
        else if (!this.#over) events.receive(message);
      },
    };
    this.#subscription = nc.subscribe(subject, options);
  }

  /** Whether it was stopped or refused. */
  get over(): boolean {
    return this.#over;
  }

  /** Stops it because the server refused it. */
  refuse(error: JetStreamStoreError): void {
    if (this.#over) return;
    this.stop();
    this.#events.refused(error);
  }

  /** Stops it at once. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#nc.isClosed() && !this.#subscription.isClosed()) this.#subscription.unsubscribe();
  }

  /** Stops it once what the server has already sent has arrived. */
  async drain(): Promise<void> {
    if (this.#over || this.#nc.isClosed() || this.#subscription.isClosed()) return;
    await this.#subscription.drain();
    this.#over = true;
  }
}

/**
 * Subscribes, and tells a subscription that the server refuses.
 *
 * A refusal for want of permission names its subject. One because of the account's or the server's limit names none, so it counts for all
 * subscriptions that the server has not confirmed yet: each is followed by a PING, and counts as confirmed with its PONG.
 */
export class Subscriptions {
  readonly #nc: NatsConnection;
  readonly #unconfirmed: Set<OwnSubscription> = new Set();

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** Subscribes to a subject. Of all subscriptions of one group, one receives each message. */
  add(subject: string, events: SubscriptionEvents, group?: string): OwnSubscription {
    const subscription = new OwnSubscription(this.#nc, subject, events, group);
    this.#unconfirmed.add(subscription);
    this.confirmed().then(() => this.#unconfirmed.delete(subscription));
    return subscription;
  }

  /** Resolves when the server has dealt with all that was sent so far, and its refusals have arrived; or the connection is gone. */
  async confirmed(): Promise<void> {
    // Without a connection there is nothing to be confirmed.
    await this.#nc.flush().catch(() => {});
    // A refusal that arrived with the PONG is reported a few microtasks later.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** The server reported an error that names no subject; tells whether it means subscriptions. */
  reported(message: string): boolean {
    if (!TOO_MANY.test(message)) return false;
    const error = new JetStreamStoreError(
      "limits",
      `The server refuses further subscriptions (${message}): raise max_subscriptions of the account or the server`,
    );
    for (const subscription of this.#unconfirmed) subscription.refuse(error);
    this.#unconfirmed.clear();
    return true;
  }
}

/** What to throw where the server refuses a subject. */
export function deniedError(
  operation: "publish" | "subscription",
  subject: string,
  cause?: unknown,
): JetStreamStoreError {
  return new JetStreamStoreError(
    "permission",
    `The server does not allow this user to ${operation === "publish" ? "publish to" : "subscribe to"} "${subject}"`,
    ...(cause === undefined ? [] : [{ cause }]),
  );
}
