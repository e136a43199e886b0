import type { Msg, NatsConnection, Subscription, SubscriptionOptions } from "@nats-io/nats-core";
import { setImmediate } from "node:timers";
import { type PlacePayload, placePayloads } from "../../connection/nats/payload_places.ts";
import { JetStreamStoreError } from "../../errors.ts";

/** What the server says when it refuses a subscription without naming it. */
const TOO_MANY = /maximum subscriptions exceeded/i;

/** What becomes of a subscription. */
export interface SubscriptionEvents {
  receive(message: Msg): void;
  /** Gives the memory where a large payload is to stay. Only our own connections ask. */
  place?: PlacePayload;
  /** The server refused it, now or later: nothing arrives any more. */
  refused(error: JetStreamStoreError): void;
}

/** How a subscription is made. */
export interface SubscribeOptions {
  /** Of all subscriptions of one group, one receives each message. */
  group?: string;
  /**
   * Whether it only makes something quicker: at the server's limit it gives way to one that is needed.
   *
   * @default {false}
   */
  optional?: boolean;
}

/** One subscription of a connection, until it is stopped or refused. */
export class OwnSubscription {
  readonly #nc: NatsConnection;
  readonly #subject: string;
  readonly #events: SubscriptionEvents;
  readonly #options: SubscriptionOptions;
  #subscription: Subscription;
  #over = false;
  /** How often the server was asked for it. */
  requests = 1;
  /** Whether it only makes something quicker. */
  readonly optional: boolean;

  constructor(nc: NatsConnection, subject: string, events: SubscriptionEvents, options: SubscribeOptions) {
    const { group, optional = false } = options;
    this.#nc = nc;
    this.#subject = subject;
    this.#events = events;
    this.optional = optional;
    this.#options = {
      ...(group && { queue: group }),
      callback: (error, message) => {
        if (error) this.refuse(deniedError("subscription", subject, error));
        else if (!this.#over) events.receive(message);
      },
    };
    this.#subscription = this.#subscribe();
  }

  /** Subscribes once more in place of the subscription that the server refused. */
  renew(): void {
    if (this.#over || this.#nc.isClosed()) return;
    this.requests++;
    this.#unsubscribe();
    this.#subscription = this.#subscribe();
  }

  #subscribe(): Subscription {
    const subscription = this.#nc.subscribe(this.#subject, this.#options);
    placePayloads(this.#nc, subscription.getID(), this.#events.place);
    return subscription;
  }

  #unsubscribe(): void {
    placePayloads(this.#nc, this.#subscription.getID());
    this.#subscription.unsubscribe();
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
    if (!this.#nc.isClosed() && !this.#subscription.isClosed()) this.#unsubscribe();
  }

  /** Stops it once what the server has already sent has arrived. */
  async drain(): Promise<void> {
    if (this.#over || this.#nc.isClosed() || this.#subscription.isClosed()) return;
    await this.#subscription.drain();
    this.#over = true;
  }
}

/**
 * Subscribes, and reports a refusal to its subscription.
 *
 * A refusal because of permissions names its subject. One because of the account's or the server's limit names none, so it counts for all
 * subscriptions that the server has not confirmed yet: each is followed by a PING, and counts as confirmed with its PONG. Optional ones then give way:
 * while there are any, those that are needed are made once more.
 */
export class Subscriptions {
  readonly #nc: NatsConnection;
  readonly #unconfirmed: Set<OwnSubscription> = new Set();
  readonly #optional: Set<OwnSubscription> = new Set();

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** Subscribes to a subject. */
  add(subject: string, events: SubscriptionEvents, options: SubscribeOptions = {}): OwnSubscription {
    const subscription = new OwnSubscription(this.#nc, subject, events, options);
    this.#confirm(subscription);
    return subscription;
  }

  #confirm(subscription: OwnSubscription): void {
    const { requests } = subscription;
    this.#unconfirmed.add(subscription);
    this.confirmed().then(() => {
      // What is confirmed now may have been refused before, and asked for again since.
      if (subscription.requests !== requests) return;
      this.#unconfirmed.delete(subscription);
      if (subscription.optional && !subscription.over) this.#optional.add(subscription);
    });
  }

  /** Resolves when the server has dealt with all that was sent so far, and its refusals have arrived; or the connection is gone. */
  async confirmed(): Promise<void> {
    // Without a connection there is nothing to be confirmed.
    await this.#nc.flush().catch(() => {});
    // A refusal that arrived with the PONG is reported a few microtasks later.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** The server reported an error that names no subject; returns whether it concerns subscriptions. */
  reported(message: string): boolean {
    if (!TOO_MANY.test(message)) return false;
    const error = new JetStreamStoreError(
      "limits",
      `The server refuses further subscriptions (${message}): raise max_subscriptions of the account or the server`,
    );
    const refused = [...this.#unconfirmed];
    this.#unconfirmed.clear();
    const optional = refused.filter((subscription) => subscription.optional);
    for (const subscription of optional) subscription.refuse(error);
    for (const subscription of refused) {
      if (subscription.over) continue;
      const place = this.#takeOptional();
      place?.refuse(error);
      // The refusal may have been that of an optional one.
      if (place || optional.length > 0) this.#renew(subscription);
      else subscription.refuse(error);
    }
    return true;
  }

  #renew(subscription: OwnSubscription): void {
    subscription.renew();
    this.#confirm(subscription);
  }

  /** An optional subscription that the server has. */
  #takeOptional(): OwnSubscription | undefined {
    for (const subscription of this.#optional) {
      this.#optional.delete(subscription);
      if (!subscription.over) return subscription;
    }
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
