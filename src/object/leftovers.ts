import { settledWithin } from "../connection/delay.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import type { Context } from "../wire/context.ts";
import { leaderGet } from "../wire/direct_get.ts";
import { insist } from "../wire/insist.ts";
import type { Session } from "../wire/session.ts";
import { purgeStream } from "../wire/streams.ts";
import { Budget } from "./budget.ts";
import { objectOf } from "./object_info.ts";
import type { ObjectStream } from "./object_stream.ts";

/** Removals that are under way at the same time: a server drops all requests of its API, everybody's, when too many wait. */
const AT_ONCE = 1_000;

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
  readonly #removals: Set<Promise<void>> = new Set();
  readonly #slots = new Budget(AT_ONCE);
  #later: Pieces[] = [];

  constructor(context: Context, stream: ObjectStream) {
    this.#context = context;
    this.#stream = stream;
  }

  /** Removes pieces now. */
  remove(pieces: Pieces): void {
    const { connection, timeout, logger, closers } = this.#context;
    const remove = (session: Session, deadline: number) =>
      insist(deadline, (deadline) => this.#remove(session, pieces, deadline));
    const removal = this.#slots.take(1).then(() => connection.attempt(remove, { timeout, persist: true })).then(
      (removed) => removed === null && this.removeLater(pieces),
      (error) => logger.warn(`${this.#stream.what} keeps pieces of an old object: ${error.message}`),
    ).then(() => {
      this.#slots.give(1);
      this.#removals.delete(removal);
      if (this.#removals.size === 0 && this.#later.length === 0) closers.delete(this.#close);
    });
    this.#removals.add(removal);
    closers.add(this.#close);
  }

  /** Removes pieces once a later write is confirmed. */
  removeLater(pieces: Pieces): void {
    this.#later.push(pieces);
    this.#context.closers.add(this.#close);
  }

  /** A write was confirmed. */
  confirmed(): void {
    if (this.#later.length === 0) return;
    const due = this.#later;
    this.#later = [];
    for (const pieces of due) this.remove(pieces);
  }

  async #remove(session: Session, { nuid, record }: Pieces, deadline: number): Promise<number> {
    const message = record && await leaderGet(session, this.#stream.name, { last_by_subj: record }, deadline);
    if (message && objectOf(message) === nuid) return 0;
    try {
      return await purgeStream(session, this.#stream.name, { filter: this.#stream.pieces(nuid) }, deadline);
    } catch (error) {
      if (isServerError(error, ErrorCode.streamNotFound)) return 0;
      throw error;
    }
  }

  readonly #close = async (deadline: number) => {
    this.confirmed();
    await settledWithin(Promise.all(this.#removals), deadline);
  };
}
