import type { NatsConnection } from "@nats-io/nats-core";
import { settledWithin } from "../delay.ts";
import { Unavailable } from "./unavailable.ts";

/** What is built for each session, from a connect to the next disconnect, and torn down at its end. */
export interface Session {
  /** The session ended: settles everything that waits. */
  end(reason: Unavailable): void;
  /** The server refused a subject. */
  denied(operation: "publish" | "subscription", subject: string): void;
  /** The server reported an error that names no subject. */
  reported(message: string): void;
}

/** The present session, if there is one, and who waits for it and for those to come. */
export class Sessions<S extends Session> {
  readonly #open: (nc: NatsConnection) => S;
  readonly #followers: Set<(session: S) => void> = new Set();
  #current: S | null = null;
  #nc: NatsConnection | null = null;
  /** Settles when there is a session again, or is not going to be one; `null` where none is to come. */
  #arrival: PromiseWithResolvers<void> | null = null;
  /** Settles when the attempt to connect is over that callers may wait for: the first one, or the first one after a loss. */
  #attempt: PromiseWithResolvers<void> | null = null;

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

  /** Whether there is none now, but is going to be one. */
  get areExpected(): boolean {
    return this.#arrival !== null;
  }

  /** There is going to be another one. */
  expect(): void {
    this.#arrival ??= Promise.withResolvers();
  }

  /** There is going to be another one, and callers may wait for what the first attempt brings. */
  attempt(): void {
    this.expect();
    this.#attempt = Promise.withResolvers();
  }

  /** Callers need not wait for the attempt any longer. */
  attemptOver(): void {
    this.#attempt?.resolve();
    this.#attempt = null;
  }

  /** Begins the session of a connection that has come up. */
  begin(nc: NatsConnection): void {
    this.#current = this.#open(nc);
    this.#nc = nc;
    this.giveUp();
  }

  /** Hands the present session to those who follow. */
  announce(): void {
    for (const follower of this.#followers) {
      if (this.#current) follower(this.#current);
    }
  }

  /**
   * Ends the session: all that waits in it is settled.
   *
   * @param mayArrive Whether the server may still read what was sent.
   */
  end(why: string, mayArrive = false): void {
    const session = this.#current;
    this.#current = this.#nc = null;
    session?.end(new Unavailable("lost", why, { mayArrive }));
  }

  /** Nobody need wait for another one any longer. */
  giveUp(): void {
    this.attemptOver();
    this.#arrival?.resolve();
    this.#arrival = null;
  }

  /** Waits for what the attempt under way brings, or, persistently, for any session to come. */
  async coming(deadline: number, persistent = false): Promise<S | null> {
    const arrival = persistent ? this.#arrival : this.#attempt;
    if (arrival) await settledWithin(arrival.promise, deadline - performance.now());
    return this.#current;
  }

  /** Calls back with the present session, if any, and with each later one. Returns what ends this. */
  follow(follower: (session: S) => void): () => void {
    this.#followers.add(follower);
    if (this.#current) follower(this.#current);
    return () => this.#followers.delete(follower);
  }
}
