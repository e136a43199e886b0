import type { Call } from "../wire/call.ts";
import { delay, settledWithin } from "../delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { retryUntil } from "../wire/retry_until.ts";
import { purgeStream } from "../wire/streams.ts";
import type { ObjectMemory } from "./object_memory.ts";
import type { ObjectStream } from "./object_stream.ts";

/** Milliseconds that removals wait: a row of writes goes before, and who is just reading what was replaced may finish. */
const PAUSE = 20;

/** Removals that one pause brings: a server drops all requests of its API, everybody's, when too many wait. */
const AT_ONCE = 500;

/**
 * Removals that one pause brings where chunks expire soon by themselves, and how many may wait: a removal costs the server more than a write, so
 * while more is replaced than these, the rest is left to the TTL.
 */
const AT_A_TIME = 50;
const WAITING = 5_000;

/** Removals that are made at once within the time of one pause: a write now and then leaves no timer behind. */
const WITHOUT_PAUSE = 8;

/** A version whose chunks may have to be removed. */
export interface Leftover {
  nuid: string;
  /**
   * Sequence of the info in whose place another info may name it; without it no info can: nobody but this process has written in between, or it never
   * became an object.
   */
  replacedBy?: number;
}

/**
 * Removes the chunks of objects that were replaced, deleted, or never finished, off the caller's path. What an info names is not removed, whoever
 * has stored that info.
 *
 * What nobody has answered may still reach the server, a chunk or the info that makes the chunks an object. So after such an upload nothing is
 * removed before a later write is confirmed: by then the server has dealt with all that was sent before, and the infos tell.
 */
export class Leftovers {
  readonly #stream: ObjectStream;
  readonly #memory: ObjectMemory;
  #due: string[] = [];
  #later: Leftover[] = [];
  /** The removal of what is due; `null` while nothing is. */
  #removing: Promise<void> | null = null;
  /** Removals that are made at once, and since when they are counted. */
  readonly #underWay: Set<Promise<void>> = new Set();
  #counted = { since: -Infinity, removals: 0 };
  #closing = new AbortController();
  #complaint = "";

  constructor(stream: ObjectStream, memory: ObjectMemory) {
    this.#stream = stream;
    this.#memory = memory;
  }

  /** Removes the chunks of a version soon, unless another info may name it and does. */
  remove(leftover: Leftover): void {
    const { nuid, replacedBy } = leftover;
    this.#stream.context.closers.add(this.#close);
    if (replacedBy === undefined) this.#take(nuid);
    // To see it in all infos is too much where the chunks expire soon.
    else if (!this.#expiresSoon) {
      this.#memory.suspects.add({
        nuid,
        replacedBy,
        stream: this.#stream,
        unnamed: () => this.#take(nuid),
        unknown: () => this.removeLater(leftover),
      });
    }
  }

  /** Removes chunks that are surely none of an object, and waits for that; later if the server does not answer. */
  async removeNow(call: Call, nuid: string): Promise<void> {
    try {
      await this.#purge(call, nuid);
    } catch {
      this.remove({ nuid });
    }
  }

  /** Removes chunks once a later write is confirmed. */
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

  #take(nuid: string): void {
    if (this.#due.length === 0 && this.#hasTurn()) return this.#removeAtOnce(nuid);
    this.#due.push(nuid);
    if (this.#due.length > 2 * WAITING && this.#expiresSoon) this.#due = this.#due.slice(-WAITING);
    this.#removing ??= this.#removeDue();
  }

  /** Whether so few removals were made lately that another one need not wait. */
  #hasTurn(): boolean {
    const now = performance.now();
    if (now - this.#counted.since > PAUSE) this.#counted = { since: now, removals: 0 };
    return ++this.#counted.removals <= WITHOUT_PAUSE;
  }

  /** Without a deadline: what is not answered while the session lasts is tried again in the next one. */
  #removeAtOnce(nuid: string): void {
    const { connection, timeout } = this.#stream.context;
    const removal = connection.attempt((call) => this.#purgeOnce(call.until(Infinity), nuid), { timeout })
      .catch(this.#failed)
      .then((done) => {
        if (done === null) this.removeLater({ nuid });
      })
      .finally(() => this.#underWay.delete(removal));
    this.#underWay.add(removal);
  }

  async #removeDue(): Promise<void> {
    const { connection, timeout } = this.#stream.context;
    while (this.#due.length > 0) {
      const { signal } = this.#closing;
      await delay(PAUSE, { signal, persistent: false });
      const some = this.#due.splice(0, this.#expiresSoon && !signal.aborted ? AT_A_TIME : AT_ONCE);
      const purgeAll = (call: Call) => Promise.all(some.map((nuid) => this.#purge(call, nuid)));
      const done = await connection.attempt(purgeAll, { timeout, persist: true }).catch(this.#failed);
      if (done === null) { for (const nuid of some) this.removeLater({ nuid }); }
    }
    this.#removing = null;
  }

  #purge(call: Call, nuid: string): Promise<void> {
    return retryUntil(call, (call) => this.#purgeOnce(call, nuid));
  }

  async #purgeOnce(call: Call, nuid: string): Promise<void> {
    try {
      await purgeStream(call, this.#stream.name, { filter: this.#stream.pieces(nuid) });
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      if (!isServerError(error, ErrorCode.streamNotFound)) this.#complain(String(error));
    }
  }

  /** One line for each new reason, not for each object. */
  #complain(reason: string): void {
    if (reason === this.#complaint) return;
    this.#complaint = reason;
    this.#stream.context.logger.warn(`${this.#stream.what} keeps chunks of old objects: ${reason}`);
  }

  /** Nobody waits for a removal: an error is logged, and the removal made again. */
  readonly #failed = (error: unknown): null => {
    this.#complain(String(error));
    return null;
  };

  readonly #close = async (deadline: number) => {
    this.confirmed();
    this.#closing.abort();
    await settledWithin(this.#finish(), deadline);
    this.#closing = new AbortController();
    this.#stream.context.closers.delete(this.#close);
  };

  async #finish(): Promise<void> {
    await this.#memory.suspects.finish();
    await Promise.all([this.#removing, ...this.#underWay]);
  }
}
