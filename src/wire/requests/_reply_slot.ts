import type { Msg } from "@nats-io/nats-core";
import { Unavailable } from "../../connection/unavailable.ts";
import type { PlaceData } from "../../connection/nats/payload_places.ts";
import type { HeaderBlock } from "../../connection/nats/headers.ts";
import { statusOf } from "../../connection/nats/raw_headers.ts";

/** Milliseconds after which an unanswered request is sent again; doubles each time. */
const REPEAT_MS = 1_000;

/** Milliseconds after which it is sent again where the server has answered that it cannot answer now. */
const REPEAT_SOON_MS = 250;

/** The call that a write belongs to. */
export interface WritingCall {
  /** A write on a subject was sent, or sent again, and not answered. */
  noteUnconfirmed(subject: string): void;
}

/** A message that expects an answer. */
export interface Question {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly headers?: HeaderBlock;
  /** Whether it may be sent again while no answer arrives: the answer to any of its sendings counts. */
  readonly repeats?: boolean;
  /** The call that notes if this is sent again, or is not answered: then it may have been done, or its second answer may concern the first. */
  readonly write?: WritingCall;
}

/** Makes something of the reply to a message that was sent to this subject; what it throws is what the call throws. */
export type ReadReply<T> = (reply: Msg, subject: string) => T;

/** A place that waits for replies. */
export interface ReplySlot {
  readonly question: Question;
  /** Moment of `performance.now()` by which it settles. */
  readonly deadline: number;
  /** Whether no further reply can arrive once it is settled. */
  readonly single: boolean;
  /** Takes one reply; returns whether it was the last. */
  take(reply: Msg): boolean;
  /** Gives the memory where a large payload of a reply is to stay. */
  readonly place?: PlaceData;
  fail(error: unknown): void;
  /** Whether its message is to be sent again now: it counts as sent then. */
  repeats(now: number): boolean;
}

/**
 * Waits for one reply. A class, since a closure for each call would cost as much as the rest of it.
 *
 * Where the message may be sent again, the reply to any of its sendings settles it: one that is late counts as much as one in time.
 */
export class OneReply<T> implements ReplySlot {
  readonly question: Question;
  readonly deadline: number;
  readonly #read: ReadReply<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  /** When it is sent again; 0 until it is first looked at, as the time costs more than the rest. */
  #repeatAt = 0;
  /** How often it was sent without a reply. */
  #unanswered = 1;
  #pause = REPEAT_MS;
  single = true;

  constructor(
    question: Question,
    deadline: number,
    read: ReadReply<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.question = question;
    this.deadline = deadline;
    this.#read = read;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  fail(error: unknown): void {
    const { subject, write } = this.question;
    if (write && error instanceof Unavailable && (error.reason === "lost" || error.reason === "timeout")) {
      write.noteUnconfirmed(subject);
    }
    this.#reject(error);
  }

  take(reply: Msg): boolean {
    try {
      if (statusOf(reply).code === 503) throw noResponders(this.question);
      this.#resolve(this.#read(reply, this.question.subject));
    } catch (error) {
      // The reply to another sending may still arrive, with the result.
      if (error instanceof Unavailable && --this.#unanswered > 0) {
        this.#repeatAt = Math.min(this.#repeatAt, performance.now() + REPEAT_SOON_MS);
        return false;
      }
      this.fail(error);
    }
    return true;
  }

  repeats(now: number): boolean {
    const { subject, repeats, write } = this.question;
    if (!repeats) return false;
    this.#repeatAt ||= now + this.#pause;
    if (this.#repeatAt > now) return false;
    write?.noteUnconfirmed(subject);
    this.#unanswered++;
    this.#pause *= 2;
    this.#repeatAt = now + this.#pause;
    this.single = false;
    return true;
  }
}

/** How several replies to one request are collected. */
export interface CollectOptions {
  /**
   * Milliseconds after which the next reply counts as lost.
   *
   * @default {Infinity}
   */
  silence?: number;
  /** Gives the memory where the data of a large reply are to stay: nothing else may be there until the request has settled, or the connection ends. */
  place?: PlaceData;
}

/** Takes replies until `take` says that one was the last. */
export class ManyReplies implements ReplySlot {
  readonly question: Question;
  deadline: number;
  readonly fail: (error: unknown) => void;
  readonly single = false;
  readonly place?: PlaceData;
  readonly #take: (reply: Msg) => boolean;
  readonly #resolve: () => void;
  readonly #until: number;
  readonly #silence: number;

  constructor(
    question: Question,
    until: number,
    { silence = Infinity, place }: CollectOptions,
    take: (reply: Msg) => boolean,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.question = question;
    this.#until = until;
    this.#silence = silence;
    this.place = place;
    this.#take = take;
    this.#resolve = resolve;
    this.fail = reject;
    this.deadline = Math.min(until, performance.now() + silence);
  }

  take(reply: Msg): boolean {
    this.deadline = Math.min(this.#until, performance.now() + this.#silence);
    try {
      if (statusOf(reply).code === 503) throw noResponders(this.question);
      if (!this.#take(reply)) return false;
      this.#resolve();
    } catch (error) {
      this.fail(error);
    }
    return true;
  }

  repeats(): boolean {
    return false;
  }
}

function noResponders({ subject }: Question): Unavailable {
  return new Unavailable("no_responders", `No responders on ${subject}`);
}
