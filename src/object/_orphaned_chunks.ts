import type { Call } from "../wire/call.ts";
import { delay, settledWithin } from "../delay.ts";
import { LimitedLog } from "../connection/limited_log.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { retryUntil } from "../wire/retry_until.ts";
import { purgeStream } from "../wire/streams.ts";
import type { ObjectMemory } from "./_object_memory.ts";
import type { ObjectStream } from "./_object_stream.ts";

/** Milliseconds between two rounds of removals: a series of writes comes first, and reads of the replaced version may finish. */
const ROUND_MS = 20;

/** Removals of one round: a server drops all requests of its API, those of others included, when too many wait. */
const MAX_REMOVALS = 500;

/**
 * Removals of one round where chunks expire soon by themselves, and how many may wait: a removal costs the server more than a write, so while more is
 * replaced than these, the rest is left to the TTL.
 */
const MAX_EXPIRING_REMOVALS = 50;
const MAX_EXPIRING_VERSIONS = 5_000;

/** Removals within the time of one round that are made at once: an occasional write leaves no timer behind. */
const MAX_IMMEDIATE_REMOVALS = 8;

/** A version whose chunks may have to be removed. */
export interface OrphanedVersion {
  nuid: string;
  /** Whether another info may name it; none can where no other process has written since it was stored, or where it never became an object. */
  mayBeNamed: boolean;
}

/**
 * Removes the chunks of objects that were replaced, deleted, or never finished, off the caller's path. What an info names is not removed, whoever
 * has stored that info.
 *
 * A write that was not answered may still reach the server: a chunk, or the info that makes the chunks an object. So after such an upload nothing is
 * removed before a later write is confirmed. By then the server has processed all that was sent before, and the infos show it.
 */
export class OrphanedChunks {
  readonly #stream: ObjectStream;
  readonly #memory: ObjectMemory;
  #due: string[] = [];
  /** What may be an object after all until a later write is confirmed: its info, or that which replaces it, is unconfirmed. */
  #later: OrphanedVersion[] = [];
  /** Removals that failed. */
  #unremoved: OrphanedVersion[] = [];
  /** The removal of what is due; `null` while nothing is. */
  #removing: Promise<void> | null = null;
  /** Removals that are made at once, and since when they are counted. */
  readonly #underWay: Map<string, { removal: Promise<void>; until: number }> = new Map();
  #counted = { since: -Infinity, removals: 0 };
  #closing = new AbortController();
  readonly #log: LimitedLog;

  constructor(stream: ObjectStream, memory: ObjectMemory) {
    this.#stream = stream;
    this.#memory = memory;
    this.#log = new LimitedLog(stream.context.logger);
  }

  /** Removes the chunks of a version soon, unless another info may name it and does. */
  remove(orphan: OrphanedVersion): void {
    const { nuid, mayBeNamed } = orphan;
    this.#stream.context.closers.add(this.#close);
    if (!mayBeNamed) this.#take(nuid);
    // Reading all infos costs too much where the chunks expire soon.
    else if (!this.#expiresSoon) {
      this.#memory.replaced.add({
        nuid,
        stream: this.#stream,
        unnamed: () => this.#take(nuid),
        unknown: () => this.#unremoved.push(orphan),
      });
    }
  }

  /** Removes chunks that certainly belong to no object, and waits for that; later if the server does not answer. */
  async removeNow(call: Call, nuid: string): Promise<void> {
    try {
      await this.#purge(call, nuid);
    } catch {
      this.remove({ nuid, mayBeNamed: false });
    }
  }

  /** Removes chunks once a later write is confirmed. */
  removeLater(orphan: OrphanedVersion): void {
    this.#later.push(orphan);
    this.#stream.context.closers.add(this.#close);
  }

  /** A write was confirmed. */
  confirmed(): void {
    if (this.#later.length > 0) { for (const orphan of this.#later.splice(0)) this.remove(orphan); }
    if (this.#unremoved.length > 0) this.#removeAgain();
  }

  #removeAgain(): void {
    for (const orphan of this.#unremoved.splice(0)) this.remove(orphan);
  }

  /** Whether orphaned chunks can be left to the TTL: they are gone within a minute, and take no room from others until then. */
  get #expiresSoon(): boolean {
    return this.#stream.ttl <= 60_000 && (this.#stream.config?.max_bytes ?? -1) < 0;
  }

  #take(nuid: string): void {
    this.#removeUnanswered();
    if (this.#due.length === 0 && this.#isImmediate()) return this.#removeAtOnce(nuid);
    this.#due.push(nuid);
    if (this.#due.length > 2 * MAX_EXPIRING_VERSIONS && this.#expiresSoon) {
      this.#due = this.#due.slice(-MAX_EXPIRING_VERSIONS);
    }
    this.#removing ??= this.#removeDue();
  }

  /** Whether so few removals were made in this round that another one need not wait. */
  #isImmediate(): boolean {
    const now = performance.now();
    if (now - this.#counted.since > ROUND_MS) this.#counted = { since: now, removals: 0 };
    return ++this.#counted.removals <= MAX_IMMEDIATE_REMOVALS;
  }

  /**
   * One server answers in any case, so there is no deadline, for which a timer would be needed; if it does not in time, the removal is made again with
   * the next one, or in the next session. A leader that steps down never answers: with replicas the request is repeated.
   */
  #removeAtOnce(nuid: string): void {
    const { connection, timeout } = this.#stream.context;
    const purge = (call: Call) =>
      call.session.requests.alone ? this.#purgeOnce(call.until(Infinity), nuid) : this.#purge(call, nuid);
    const removal = connection.attempt(purge, { timeout, background: true })
      .catch(this.#failed)
      .then((done) => {
        if (this.#underWay.delete(nuid) && done === null) this.#unremoved.push({ nuid, mayBeNamed: false });
      });
    this.#underWay.set(nuid, { removal, until: performance.now() + timeout });
  }

  /** Makes the removals again that were made at once and are not answered in time. */
  #removeUnanswered(): void {
    for (const [nuid, { until }] of this.#underWay) {
      if (performance.now() < until) return;
      this.#underWay.delete(nuid);
      this.#due.push(nuid);
    }
  }

  async #removeDue(): Promise<void> {
    const { connection, timeout } = this.#stream.context;
    while (this.#due.length > 0) {
      const { signal } = this.#closing;
      await delay(ROUND_MS, { signal, persistent: false });
      const some = this.#due.splice(0, this.#expiresSoon && !signal.aborted ? MAX_EXPIRING_REMOVALS : MAX_REMOVALS);
      const purgeAll = (call: Call) => Promise.all(some.map((nuid) => this.#purge(call, nuid)));
      const done = await connection.attempt(purgeAll, { timeout, persist: true }).catch(this.#failed);
      if (done === null) { for (const nuid of some) this.#unremoved.push({ nuid, mayBeNamed: false }); }
    }
    this.#removing = null;
  }

  #purge(call: Call, nuid: string): Promise<void> {
    return retryUntil(call, (call) => this.#purgeOnce(call, nuid));
  }

  async #purgeOnce(call: Call, nuid: string): Promise<void> {
    try {
      await purgeStream(call, this.#stream.name, { filter: this.#stream.chunkSubject(nuid) });
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      if (!isServerError(error, ErrorCode.streamNotFound)) this.#logOnce(String(error));
    }
  }

  /** One line for each new reason, not for each object. */
  #logOnce(reason: string): void {
    this.#log.warnNew(reason, `${this.#stream.what} keeps orphaned chunks: ${reason}`);
  }

  /** A removal failed: the error is logged, and the removal is made again after the next confirmed write. */
  readonly #failed = (error: unknown): null => {
    this.#logOnce(String(error));
    return null;
  };

  readonly #close = async (deadline: number) => {
    // What awaits a later write stays: its info may still be on its way to the server.
    this.#removeAgain();
    this.#closing.abort();
    // What the server does not answer is left to the next writer of the bucket.
    await settledWithin(this.#finish(), Math.min(deadline, this.#stream.context.timeout));
    this.#closing = new AbortController();
    this.#stream.context.closers.delete(this.#close);
  };

  async #finish(): Promise<void> {
    await this.#memory.replaced.finish();
    await Promise.all([this.#removing, ...Array.from(this.#underWay.values(), ({ removal }) => removal)]);
  }
}
