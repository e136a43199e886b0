import type { Msg, NatsConnection, Subscription } from "@nats-io/nats-core";
import { createInbox } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { clearTimeout, setTimeout } from "node:timers";
import { inboxPrefixOf } from "../connection/adopt.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { HeaderBlock } from "./headers.ts";
import { statusOf, trailingNumber } from "./raw_headers.ts";

/** Milliseconds between two looks at the deadlines: a call ends at most this late. */
const TICK = 50;

interface Pending {
  readonly subject: string;
  deadline: number;
  /** Whether no further answer can come once it is done. */
  readonly single: boolean;
  /** Takes one reply; tells whether it was the last. */
  take(reply: Msg): boolean;
  fail(error: unknown): void;
}

/** Makes something of the reply to a message that was sent to this subject; what it throws is what the call meets. */
export type ReadReply<T> = (reply: Msg, subject: string) => T;

/** Waits for one reply. A class, since a closure for each call would cost as much as the rest of it. */
class OneReply<T> implements Pending {
  readonly subject: string;
  readonly deadline: number;
  readonly single = true;
  readonly #read: ReadReply<T>;
  readonly #resolve: (value: T) => void;
  readonly fail: (error: unknown) => void;

  constructor(
    subject: string,
    deadline: number,
    read: ReadReply<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.subject = subject;
    this.deadline = deadline;
    this.#read = read;
    this.#resolve = resolve;
    this.fail = reject;
  }

  take(reply: Msg): boolean {
    try {
      if (statusOf(reply).code === 503) throw new Unavailable("no_responders", `Nobody answers on ${this.subject}`);
      this.#resolve(this.#read(reply, this.subject));
    } catch (error) {
      this.fail(error);
    }
    return true;
  }
}

/**
 * The request layer: everything that expects an answer goes through here.
 *
 * One wildcard inbox receives all replies, each call is a slot of a map, one coarse timer looks after all deadlines, and no error is built
 * before something has failed. Slots are used again where that is safe: the server remembers where a subject leads, and looks up each new one. It lives as long as one session: when the connection breaks, all that is pending settles at once.
 */
export class Requests {
  readonly #nc: NatsConnection;
  readonly #prefix: string;
  readonly #inbox: Subscription;
  readonly #pending: Map<number, Pending> = new Map();
  /** Slots whose only answer has come. */
  readonly #free: number[] = [];
  /**
   * Whether one server does it all. In a cluster the next leader may answer a publish again that the last one has answered: there no slot is used
   * twice, nor where the streams are those of other servers.
   */
  readonly alone: boolean;
  #lastId = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended: Error | null = null;

  constructor(nc: NatsConnection) {
    this.#nc = nc;
    this.#prefix = `${createInbox(inboxPrefixOf(nc))}.`;
    this.alone = nc.info?.jetstream === true && nc.info.cluster === undefined;
    this.#inbox = nc.subscribe(`${this.#prefix}*`, { callback: (error, reply) => this.#receive(error, reply) });
  }

  /** How many calls wait for an answer. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * Sends a message and waits for the one reply that it can have: of the server, not of whoever listens. What comes later could be taken for
   * the answer of another call.
   *
   * @param deadline The moment of `performance.now()` by which it settles.
   * @throws {Unavailable} If no answer came.
   */
  request(subject: string, payload: Uint8Array | string, deadline: number, headers?: HeaderBlock): Promise<Msg> {
    return this.ask(subject, payload, deadline, itself, headers);
  }

  /** The same for what is made of the reply: a promise less than to make it afterwards. */
  ask<T>(
    subject: string,
    payload: Uint8Array | string,
    deadline: number,
    read: ReadReply<T>,
    headers?: HeaderBlock,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#send(new OneReply(subject, deadline, read, resolve, reject), payload, headers);
    });
  }

  /**
   * Sends a message and takes replies until `take` says that one was the last.
   *
   * @param deadline The moment of `performance.now()` by which it settles.
   * @param patience Milliseconds after which the next reply counts as lost.
   * @throws {Unavailable} If the last answer did not come.
   */
  collect(
    subject: string,
    payload: Uint8Array | string,
    deadline: number,
    take: (reply: Msg) => boolean,
    patience = Infinity,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = () => Math.min(deadline, performance.now() + patience);
      const takeOne = (reply: Msg) => {
        pending.deadline = next();
        try {
          if (statusOf(reply).code === 503) throw new Unavailable("no_responders", `Nobody answers on ${subject}`);
          if (!take(reply)) return false;
          resolve();
        } catch (error) {
          reject(error);
        }
        return true;
      };
      const pending: Pending = { subject, deadline: next(), single: false, take: takeOne, fail: reject };
      this.#send(pending, payload);
    });
  }

  /** Settles all that is pending and stops listening. */
  end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = reason;
    clearTimeout(this.#timer);
    if (!this.#nc.isClosed()) this.#inbox.unsubscribe();
    this.#failAll(reason, () => true);
  }

  /** Fails what waits for the given subject, or, if it is the inbox that may not be used, everything. */
  denied(operation: "publish" | "subscription", subject: string): void {
    const reason = deniedError(operation, subject);
    if (operation === "publish") this.#failAll(reason, (pending) => pending.subject === subject);
    else if (subject.startsWith(this.#prefix)) this.end(reason);
  }

  #send(pending: Pending, payload: Uint8Array | string, headers?: HeaderBlock): void {
    if (this.#ended) throw this.#ended;
    const id = this.#free.pop() ?? ++this.#lastId;
    this.#pending.set(id, pending);
    try {
      const reply = this.#prefix + id;
      this.#nc.publish(pending.subject, payload, headers ? { reply, headers: headers.asMsgHdrs() } : { reply });
    } catch (error) {
      this.#pending.delete(id);
      throw this.#whyNotSent(error, payload, headers);
    }
    this.#timer ??= this.#startTimer();
  }

  #whyNotSent(error: unknown, payload: Uint8Array | string, headers?: HeaderBlock): unknown {
    if (this.#nc.isClosed() || this.#nc.isDraining()) {
      return new Unavailable("lost", "The connection is closing", { cause: error });
    }
    const size = (headers?.length ?? 0) + Buffer.byteLength(payload);
    const max = this.#nc.info?.max_payload ?? Infinity;
    if (size <= max) return error;
    return new RangeError(
      `Cannot send the message as it must be ≤ ${max} bytes (the server's max_payload): it has ${size}`,
      { cause: error },
    );
  }

  #receive(error: Error | null, reply: Msg): void {
    // An error here is a refused subscription, which the status of the connection reports, too.
    if (error) return;
    const id = trailingNumber(reply);
    const pending = this.#pending.get(id);
    if (!pending?.take(reply)) return;
    this.#pending.delete(id);
    if (this.alone && pending.single) this.#free.push(id);
  }

  /** @param patient Whether one that comes late waits for another: while the process was busy nobody has read the answers that have come. */
  #startTimer(patient = true): ReturnType<typeof setTimeout> {
    const due = performance.now() + TICK;
    return setTimeout(() => {
      const now = performance.now();
      const listens = patient && now - due > TICK;
      if (!listens) this.#failAll(null, (pending) => pending.deadline <= now);
      this.#timer = this.#pending.size > 0 ? this.#startTimer(!listens) : undefined;
    }, TICK).unref();
  }

  /** Fails the chosen ones with `reason`, or for having passed their deadline. */
  #failAll(reason: Error | null, chosen: (pending: Pending) => boolean): void {
    for (const [id, pending] of this.#pending) {
      if (!chosen(pending)) continue;
      this.#pending.delete(id);
      pending.fail(reason ?? new Unavailable("timeout", `No answer on ${pending.subject} within the deadline`));
    }
  }
}

/** What to throw where the server refuses a subject. */
export function deniedError(operation: "publish" | "subscription", subject: string): JetStreamStoreError {
  return new JetStreamStoreError(
    "permission",
    `The server does not allow this user to ${operation === "publish" ? "publish to" : "subscribe to"} "${subject}"`,
  );
}

function itself(reply: Msg): Msg {
  return reply;
}
