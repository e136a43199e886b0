import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { createInbox } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";
import { clearTimeout, setTimeout } from "node:timers";
import { inboxPrefixOf } from "../../connection/nats/adopt.ts";
import { delay, settledWithin } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";
import type { JetStreamStoreError } from "../../errors.ts";
import { type ControlLine, tooLong } from "./control_line.ts";
import type { HeaderBlock } from "../../connection/nats/headers.ts";
import { numberBehindDot, trailingNumber } from "../../connection/nats/raw_headers.ts";
import { ReplyPlaces } from "./_reply_places.ts";
import {
  type CollectOptions,
  ManyReplies,
  OneReply,
  type Question,
  type ReadReply,
  type ReplySlot,
} from "./_reply_slot.ts";
import { deniedError, type OwnSubscription, type Subscriptions } from "./subscriptions.ts";

export type { CollectOptions };

/** Milliseconds between two looks at the deadlines: a call ends at most this late. */
const TICK_MS = 50;

/** Milliseconds between two attempts to subscribe to an inbox that the server refused. */
const INBOX_RETRY_MS = 100;

/**
 * The request layer: everything that expects an answer goes through here.
 *
 * One wildcard inbox receives all replies, each call is a slot of a list, one coarse timer looks after all deadlines while anything is pending, and
 * no error is built before something has failed. Reply subjects are reused where that is safe: the server caches the routing of a subject, and has
 * to look up each new one. It lives as long as one session: when the connection breaks, all that is pending settles at once.
 */
export class Requests {
  readonly #nc: NatsConnection;
  readonly #subscriptions: Subscriptions;
  readonly #line: ControlLine;
  readonly #prefix: string;
  #inbox: OwnSubscription;
  readonly #pending = new ReplyPlaces();
  /**
   * Whether one server does it all. In a cluster the next leader may answer a publish again that the last one has answered: there no slot is used
   * twice, nor where the streams are those of other servers.
   */
  readonly alone: boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended: Error | null = null;
  /** Why the server refuses the inbox, as far as is known. */
  #refusal: JetStreamStoreError | null = null;
  /** The next try to subscribe to a refused inbox. */
  #reopening: Promise<void> | null = null;

  /** @param isOwn Whether the JetStream is that of the connected server. */
  constructor(nc: NatsConnection, subscriptions: Subscriptions, line: ControlLine, isOwn: boolean = true) {
    this.#nc = nc;
    this.#subscriptions = subscriptions;
    this.#line = line;
    this.#prefix = `${createInbox(inboxPrefixOf(nc))}.`;
    this.alone = isOwn && nc.info?.jetstream === true && nc.info.cluster === undefined;
    this.#inbox = this.#openInbox();
  }

  /** How many calls wait for an answer. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * Sends a message and waits for its single reply. Only for messages that the server itself answers: where several subscribers may reply, a second
   * reply could be taken for the answer of another call.
   *
   * @param deadline The moment of `performance.now()` by which it settles; `Infinity`: with its answer, or as the session ends.
   * @param repeats Whether the message may be sent again while no answer arrives.
   * @throws {Unavailable} If no answer arrived.
   */
  request(
    subject: string,
    payload: Uint8Array | string,
    deadline: number,
    headers?: HeaderBlock,
    repeats = false,
  ): Promise<Msg> {
    return this.ask({ subject, payload, headers, repeats }, deadline, itself);
  }

  /** The same for what is made of the reply: a promise less than to make it afterwards. */
  ask<T>(question: Question, deadline: number, read: ReadReply<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#begin(new OneReply(question, deadline, read, resolve, reject));
    });
  }

  /**
   * Sends a message and takes replies until `take` says that one was the last.
   *
   * @param deadline The moment of `performance.now()` by which it settles.
   * @throws {Unavailable} If the last answer did not arrive.
   */
  collect(
    subject: string,
    payload: Uint8Array | string,
    deadline: number,
    take: (reply: Msg) => boolean,
    options: CollectOptions = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#begin(new ManyReplies({ subject, payload }, deadline, options, take, resolve, reject));
    });
  }

  /** Settles all that is pending and stops listening. */
  end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#inbox.stop();
    this.#failAll(() => reason);
  }

  /** Fails what waits for the given subject. */
  denied(subject: string): void {
    this.#failAll((slot) => slot.question.subject === subject ? deniedError("publish", subject) : null);
  }

  /** Fails what has a subject that is longer than the server takes: it would be sent again and again, at the cost of the connection each time. */
  failTooLong(): void {
    this.#failAll(({ question: { subject } }, place) =>
      this.#line.fits(subject, this.#prefix + this.#pending.numberOf(place)) ? null : tooLong(subject)
    );
  }

  #openInbox(): OwnSubscription {
    return this.#subscriptions.add(`${this.#prefix}*`, {
      receive: (reply) => this.#receive(reply),
      place: (subject, size) => this.#pending.at(this.#pending.placeOf(numberBehindDot(subject)))?.place?.(size),
      refused: (error) => {
        this.#refusal = error;
        this.#failAll(() => error);
      },
    });
  }

  #begin(slot: ReplySlot): void {
    if (this.#ended) throw this.#ended;
    if (this.#refusal === null) return this.#enter(slot);
    this.#reopened(slot.deadline).then(() => this.#enter(slot)).catch((error) => slot.fail(error));
  }

  /** Subscribes to the inbox once more: the server may have granted it meanwhile. Nothing is sent before that is known. */
  async #reopened(deadline: number): Promise<void> {
    this.#reopening ??= this.#reopen().finally(() => this.#reopening = null);
    await settledWithin(this.#reopening, deadline - performance.now());
    const refused = this.#ended ?? this.#refusal;
    if (refused) throw refused;
  }

  async #reopen(): Promise<void> {
    await delay(INBOX_RETRY_MS, { persistent: false });
    if (this.#ended) return;
    this.#inbox = this.#openInbox();
    await this.#subscriptions.confirmed();
    if (!this.#inbox.over) this.#refusal = null;
  }

  #enter(slot: ReplySlot): void {
    if (this.#ended) throw this.#ended;
    const place = this.#pending.add(slot);
    try {
      this.#send(place, slot);
    } catch (error) {
      this.#remove(place, slot);
      throw error;
    }
    if (this.#pending.hasTimed) this.#timer ??= this.#startTimer();
  }

  #send(place: number, { question: { subject, payload, headers } }: ReplySlot): void {
    const reply = this.#prefix + this.#pending.numberOf(place);
    this.#line.check(subject, reply);
    try {
      this.#nc.publish(subject, payload, headers ? { reply, headers: headers.asMsgHdrs() } : { reply });
    } catch (error) {
      throw this.#whyNotSent(error, payload, headers);
    }
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

  #receive(reply: Msg): void {
    const place = this.#pending.placeOf(trailingNumber(reply));
    const slot = this.#pending.at(place);
    if (slot?.take(reply)) this.#remove(place, slot, this.alone && slot.single);
  }

  /** {@linkcode ReplyPlaces.remove} */
  #remove(place: number, slot: ReplySlot, isOver = false): void {
    this.#pending.remove(place, slot, isOver);
    // A timer that outlives the last call would show as a leak in the tests of users.
    if (this.#pending.hasTimed) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** @param patient Whether one that fires late waits for another: a busy process has not read the answers that have arrived. */
  #startTimer(patient = true): ReturnType<typeof setTimeout> {
    const due = performance.now() + TICK_MS;
    return setTimeout(() => {
      const now = performance.now();
      const listens = patient && now - due > TICK_MS;
      this.#timer = undefined;
      if (!listens) this.#look(now);
      if (this.#pending.hasTimed) this.#timer ??= this.#startTimer(!listens);
    }, TICK_MS).unref();
  }

  /** Fails what has passed its deadline, and sends again what is due for it. */
  #look(now: number): void {
    this.#failAll(({ deadline, question }) =>
      deadline <= now ? new Unavailable("timeout", `No answer on ${question.subject} within the deadline`) : null
    );
    for (const [place, slot] of this.#pending.entries()) {
      if (!slot.repeats(now)) continue;
      try {
        this.#send(place, slot);
      } catch (error) {
        this.#remove(place, slot);
        slot.fail(error);
      }
    }
    this.#pending.shrink();
  }

  /** Fails the slots for which there is a reason. */
  #failAll(reasonFor: (slot: ReplySlot, place: number) => Error | null): void {
    for (const [place, slot] of this.#pending.entries()) {
      const reason = reasonFor(slot, place);
      if (!reason) continue;
      this.#remove(place, slot);
      slot.fail(reason);
    }
  }
}

function itself(reply: Msg): Msg {
  return reply;
}
