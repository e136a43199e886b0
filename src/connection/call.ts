import type { JetStreamStoreError } from "../errors.ts";
import type { Session } from "./sessions.ts";
import type { Unavailable } from "./unavailable.ts";

/**
 * One attempt of a call: over which session, until when, and what earlier attempts of the same call may have done. That memory is shared by all attempts
 * of one public call, so it outlives a reconnect.
 */
export class Call<S extends Session> {
  /** What it works over; an attempt never passes from one session to the next. */
  readonly session: S;
  /** The moment of `performance.now()` by which it must settle. */
  readonly deadline: number;
  /** The first attempt, which keeps what is known of all of them. */
  readonly #first: Call<S>;
  #unconfirmed: Set<string> | null = null;
  #refusal: JetStreamStoreError | undefined;

  constructor(session: S, deadline: number, first?: Call<S>) {
    this.session = session;
    this.deadline = deadline;
    this.#first = first ?? this;
  }

  /** Whether this attempt, or an earlier one, sent a write on a subject and got no answer: it may have been done. */
  isUnconfirmed(subject: string): boolean {
    return this.#first.#unconfirmed?.has(subject) ?? false;
  }

  /** As {@linkcode Call.isUnconfirmed}, of any subject that matches. */
  hasUnconfirmed(matches: (subject: string) => boolean): boolean {
    return this.#first.#unconfirmed?.values().some(matches) ?? false;
  }

  /** A write on a subject was sent, or sent again, and not answered. */
  noteUnconfirmed(subject: string): void {
    (this.#first.#unconfirmed ??= new Set()).add(subject);
  }

  /** What the call throws when this attempt has failed so and it is the last one: an attempt that the deadline cuts off does not hide what others met. */
  refusalAfter({ refusal }: Unavailable): JetStreamStoreError | undefined {
    return this.#first.#refusal = refusal ?? this.#first.#refusal;
  }

  /** The next attempt of the same call. */
  next(session: S): Call<S> {
    return new Call(session, this.deadline, this.#first);
  }

  /** A part of this attempt that remembers its writes by itself. */
  separate(): Call<S> {
    return new Call(this.session, this.deadline);
  }

  /** The same attempt with another deadline. */
  until(deadline: number): Call<S> {
    return new Call(this.session, deadline, this.#first);
  }
}
