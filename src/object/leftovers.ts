import { delay, settledWithin } from "../connection/delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { insist } from "../wire/insist.ts";
import { OrderedConsumer } from "../wire/ordered_consumer.ts";
import type { Session } from "../wire/session.ts";
import { purgeStream } from "../wire/streams.ts";
import { objectOf } from "./object_info.ts";
import type { ObjectStream } from "./object_stream.ts";

/** Milliseconds that removals wait: a row of writes goes before, and who is just reading what was replaced may finish. */
const PAUSE = 20;

/** Removals that one pause brings: a server drops all requests of its API, everybody's, when too many wait. */
const AT_ONCE = 500;

/**
 * Removals that one pause brings where pieces expire soon by themselves, and how many may wait: a removal costs the server more than a write, so
 * while more is replaced than these, the rest is left to the TTL.
 */
const AT_A_TIME = 50;
const WAITING = 5_000;

/** Pieces that may have to be removed. */
interface Leftover {
  nuid: string;
  /** Subject of the record that made them an object, perhaps; without it they surely are none. */
  record?: string;
}

/**
 * Removes the pieces of objects that were replaced, deleted, or never finished, off the caller's path.
 *
 * What nobody has answered may still reach the server, a piece or the record that makes the pieces an object. So after such an upload nothing is
 * removed before a later write is confirmed: by then the server has dealt with all that was sent before, and the record tells.
 */
export class Leftovers {
  readonly #stream: ObjectStream;
  #due: Leftover[] = [];
  #later: Leftover[] = [];
  /** The removal of what is due; `null` while nothing is. */
  #removing: Promise<void> | null = null;
  #closing = new AbortController();
  #complaint = "";

  constructor(stream: ObjectStream) {
    this.#stream = stream;
  }

  /** Removes pieces soon. */
  remove(leftover: Leftover): void {
    this.#due.push(leftover);
    if (this.#due.length > 2 * WAITING && this.#expiresSoon) this.#due = this.#due.slice(-WAITING);
    this.#removing ??= this.#removeDue();
  }

  /** Removes pieces once a later write is confirmed. */
  removeLater(leftover: Leftover): void {
    this.#later.push(leftover);
    this.#stream.context.closers.add(this.#close);
  }

  /** A write was confirmed. */
  confirmed(): void {
    if (this.#later.length === 0) return;
    for (const leftover of this.#later.splice(0)) this.remove(leftover);
  }

  /** Whether what nobody needs any more can be left to the TTL: within a minute it is gone, and until then it keeps nothing else out. */
  get #expiresSoon(): boolean {
    return this.#stream.ttl <= 60_000 && (this.#stream.config?.max_bytes ?? -1) < 0;
  }

  async #removeDue(): Promise<void> {
    const { connection, timeout, closers } = this.#stream.context;
    closers.add(this.#close);
    while (this.#due.length > 0) {
      const { signal } = this.#closing;
      await delay(PAUSE, { signal, persistent: false });
      const some = this.#due.splice(0, this.#expiresSoon && !signal.aborted ? AT_A_TIME : AT_ONCE);
      const removeAll = (session: Session, deadline: number) => this.#removeAll(session, some, deadline);
      const done = await connection.attempt(removeAll, { timeout, persist: true });
      if (done === null) this.#later.push(...some);
    }
    this.#removing = null;
    if (this.#later.length === 0) closers.delete(this.#close);
  }

  async #removeAll(session: Session, some: Leftover[], deadline: number): Promise<void> {
    const each = <T>(of: Leftover[], work: (one: Leftover, deadline: number) => Promise<T>) =>
      Promise.all(of.map((one) => insist(deadline, (deadline) => this.#unlessRefused(work(one, deadline)))));
    const unsure = some.filter(({ record }) => record !== undefined);
    const doubtful = await each(unsure, (one, deadline) => this.#isDoubtful(session, one, deadline));
    // Another client may have given the object another name: only all records together tell. That is too much where it expires soon.
    const asks = doubtful.includes(true) && !this.#expiresSoon;
    const used = asks ? await this.#unlessRefused(this.#used(session, deadline)) : undefined;
    const unused = unsure.filter(({ nuid }, i) => doubtful[i] && used?.has(nuid) === false);
    await each(
      [...some.filter(({ record }) => record === undefined), ...unused],
      ({ nuid }, deadline) => purgeStream(session, this.#stream.name, { filter: this.#stream.pieces(nuid) }, deadline),
    );
  }

  /** Whether there are pieces that are not those of the object that their record tells of. */
  async #isDoubtful(session: Session, { nuid, record }: Leftover, deadline: number): Promise<boolean> {
    const newest = (subject: string) => leaderGet(session, this.#stream.name, { last_by_subj: subject }, deadline);
    const message = await newest(record!);
    if (message && objectOf(message) === nuid) return false;
    return await newest(this.#stream.pieces(nuid)) !== null;
  }

  /** Whose pieces are objects, whatever their names: another client may have renamed one. */
  async #used(session: Session, deadline: number): Promise<Set<string>> {
    const used = new Set<string>();
    const options = { stream: this.#stream.name, filter: this.#stream.records, from: "last" as const };
    const consumer = await OrderedConsumer.open(session, options, deadline);
    try {
      for await (const message of consumer) {
        if (message === null) break;
        const nuid = objectOf(message);
        if (nuid) used.add(nuid);
      }
    } finally {
      await consumer.close();
    }
    return used;
  }

  /** `undefined` for what the server refuses. */
  async #unlessRefused<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      if (!isServerError(error, ErrorCode.streamNotFound)) this.#complain(String(error));
    }
  }

  /** One line for each new reason, not for each object. */
  #complain(reason: string): void {
    if (reason === this.#complaint) return;
    this.#complaint = reason;
    this.#stream.context.logger.warn(`${this.#stream.what} keeps pieces of old objects: ${reason}`);
  }

  readonly #close = async (deadline: number) => {
    this.confirmed();
    this.#closing.abort();
    if (this.#removing) await settledWithin(this.#removing, deadline);
    this.#closing = new AbortController();
  };
}
