import { clearTimeout, setTimeout } from "node:timers";
import { settledWithin } from "../connection/delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import type { Context } from "../wire/context.ts";
import { leaderGet } from "../wire/direct_get.ts";
import { insist } from "../wire/insist.ts";
import type { Session } from "../wire/session.ts";
import { purgeStream } from "../wire/streams.ts";
import { objectOf } from "./object_info.ts";
import type { ObjectStream } from "./object_stream.ts";

/** Milliseconds that removals wait: a row of writes goes before, and who is just reading what was replaced may finish. */
const PAUSE = 20;

/** Removals that are under way at the same time: a server drops all requests of its API, everybody's, when too many wait. */
const AT_ONCE = 500;

/**
 * Removals that one pause brings where pieces expire soon by themselves, and how many may wait: a removal costs the server more than a write, so
 * while more is replaced than these, the rest is left to the TTL.
 */
const AT_A_TIME = 50;
const WAITING = 5_000;

/** Pieces that may have to be removed. */
interface Pieces {
  nuid: string;
  /** Subject of the record that tells whether they are an object; without it they surely are none. */
  record?: string;
}

/**
 * Removes the pieces of objects that were replaced, deleted, or never finished, off the caller's path.
 *
 * What nobody has answered may still reach the server, a piece or the record that makes the pieces an object. So after such an upload nothing is
 * removed before a later write is confirmed: by then the server has dealt with all that was sent before, and the record tells.
 */
export class Leftovers {
  readonly #context: Context;
  readonly #stream: ObjectStream;
  #due: Pieces[] = [];
  #later: Pieces[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #removals: Set<Promise<void>> = new Set();
  #complaint = "";

  constructor(context: Context, stream: ObjectStream) {
    this.#context = context;
    this.#stream = stream;
  }

  /** Removes pieces soon. */
  remove(...pieces: Pieces[]): void {
    this.#due.push(...pieces);
    if (this.#stream.expiresSoon && this.#due.length > 2 * WAITING) this.#due = this.#due.slice(-WAITING);
    if (this.#timer || this.#due.length === 0) return;
    const count = this.#stream.expiresSoon ? AT_A_TIME : Infinity;
    this.#timer = setTimeout(() => this.#begin(count), PAUSE).unref();
    this.#context.closers.add(this.#close);
  }

  /** Removes pieces once a later write is confirmed. */
  removeLater(...pieces: Pieces[]): void {
    this.#later.push(...pieces);
    this.#context.closers.add(this.#close);
  }

  /** A write was confirmed. */
  confirmed(): void {
    if (this.#later.length > 0) this.remove(...this.#later.splice(0));
  }

  #begin(count: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#due.length === 0) return;
    const { connection, timeout, closers } = this.#context;
    const due = this.#due.splice(0, count);
    const removeAll = (session: Session, deadline: number) => this.#removeAll(session, due, deadline);
    const removal = connection.attempt(removeAll, { timeout, persist: true }).then((done) => {
      if (done === null) this.removeLater(...due);
      this.#removals.delete(removal);
      if (this.#removals.size + this.#due.length + this.#later.length === 0) closers.delete(this.#close);
    });
    this.#removals.add(removal);
    this.remove();
  }

  async #removeAll(session: Session, due: Pieces[], deadline: number): Promise<true> {
    for (let i = 0; i < due.length; i += AT_ONCE) {
      const some = due.slice(i, i + AT_ONCE);
      await Promise.all(
        some.map((pieces) => insist(deadline, (deadline) => this.#remove(session, pieces, deadline))),
      );
    }
    return true;
  }

  async #remove(session: Session, { nuid, record }: Pieces, deadline: number): Promise<void> {
    try {
      const message = record && await leaderGet(session, this.#stream.name, { last_by_subj: record }, deadline);
      if (message && objectOf(message) === nuid) return;
      await purgeStream(session, this.#stream.name, { filter: this.#stream.pieces(nuid) }, deadline);
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      if (!isServerError(error, ErrorCode.streamNotFound)) this.#complain(String(error));
    }
  }

  /** One line for each new reason, not for each object. */
  #complain(reason: string): void {
    if (reason === this.#complaint) return;
    this.#complaint = reason;
    this.#context.logger.warn(`${this.#stream.what} keeps pieces of old objects: ${reason}`);
  }

  readonly #close = async (deadline: number) => {
    this.confirmed();
    this.#begin(Infinity);
    await settledWithin(Promise.all(this.#removals), deadline);
  };
}
