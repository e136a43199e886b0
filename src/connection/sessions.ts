import type { NatsConnection } from "@nats-io/nats-core";
import { Unavailable } from "./unavailable.ts";

/** What is built anew over each unbroken stretch of a connection, and torn down at its end. */
export interface Session {
  /** The stretch is over: settles everything that waits. */
  end(reason: Unavailable): void;
  /** The server refused a subject. */
  denied(operation: "publish" | "subscription", subject: string): void;
}

/** The present session, if there is one, and who waits for it and for those to come. */
export class Sessions<S extends Session> {
  readonly #open: (nc: NatsConnection) => S;
  readonly #followers: Set<(session: S) => void> = new Set();
  #current: S | null = null;
  #nc: NatsConnection | null = null;
  /** Settles when there is a session again, or is not going to be one. */
  #arrival = Promise.withResolvers<void>();

  constructor(open: (nc: NatsConnection) => S) {
    this.#open = open;
  }

  get current(): S | null {
    return this.#current;
  }

  /** The connection of the present session. */
  get nc(): NatsConnection | null {
    return this.#nc;
  }

  /** Begins the session of a connection that has come up. */
  begin(nc: NatsConnection): void {
    this.#current = this.#open(nc);
    this.#nc = nc;
    this.#arrival.resolve();
  }

  /** Hands the present session to those who follow. */
  announce(): void {
    for (const follower of this.#followers) {
      if (this.#current) follower(this.#current);
    }
  }

  /** Ends the session: all that waits in it is settled. */
  end(why: string): void {
    const session = this.#current;
    if (!session) return;
    this.#current = this.#nc = null;
    this.#arrival = Promise.withResolvers();
    session.end(new Unavailable("lost", why));
  }

  /** There is not going to be another one for now: nobody need wait any longer. */
  giveUp(): void {
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
  }

  /** Settles when the next session begins, or none is to be expected. */
  get next(): Promise<void> {
    return this.#arrival.promise;
  }

  /** Calls back with the present session, if any, and with each later one. Returns what ends this. */
  follow(follower: (session: S) => void): () => void {
    this.#followers.add(follower);
    if (this.#current) follower(this.#current);
    return () => this.#followers.delete(follower);
  }
}
