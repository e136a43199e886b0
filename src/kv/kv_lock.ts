import { clearTimeout, setTimeout } from "node:timers";
import { delay, settledWithin } from "../delay.ts";
import { JetStreamStoreError } from "../errors.ts";
import { messageOf, shownName } from "../shown.ts";
import { orElsePermission } from "../wire/api.ts";
import type { Call } from "../wire/call.ts";
import type { KvStream } from "./_kv_stream.ts";
import { DELETE, Guard } from "./kv_write.ts";
import type { KvWriter } from "./_kv_writer.ts";

/** Renewals within one lease. */
const RENEWALS = 3;

/** Milliseconds between two attempts of an unconfirmed renewal. */
const RETRY_MS = 100;

/** Part of the lease by which the signal aborts early: a timer may be late. */
const MARGIN = 0.1;

/** What a lock is written by. */
export interface LockAccess {
  readonly stream: KvStream;
  readonly writer: KvWriter;
  readonly key: string;
  readonly subject: string;
  /** Milliseconds. */
  readonly lease: number;
  /** Value of the key while it is locked: identifies its lock. */
  readonly value: string;
}

/** The moment of `performance.now()` by which a lock must be renewed whose last write began at `begun`. */
export function expiryOf(begun: number, lease: number): number {
  return begun + lease * (1 - MARGIN);
}

/** The revision of a key whose newest value is that of this lock. */
export async function storedRevision(
  call: Call,
  { stream, subject, value }: LockAccess,
): Promise<number | undefined> {
  const message = await orElsePermission(null, stream.last(call, subject, true));
  return message && new TextDecoder().decode(message.data) === value ? message.sequence : undefined;
}

/**
 * Deletes the key of a lock.
 *
 * @param revisionOf Gives the revision that the key must still have; `undefined`: nothing is stored.
 * @param deadline The moment of `performance.now()` by which it settles.
 * @returns `false` if the key has another revision, `null` if it is not confirmed.
 */
export function removeLock(
  { stream, writer, subject }: LockAccess,
  revisionOf: (call: Call) => Promise<number | undefined>,
  deadline: number,
): Promise<boolean | null> {
  let guard: Guard | undefined;
  return stream.observe("release", async (call) => {
    const revision = guard?.expected ?? await revisionOf(call);
    if (revision === undefined) return false;
    guard ??= new Guard(revision);
    return await writer.mark(call, { subject, value: "", ttl: undefined, marker: DELETE, guard });
  }, { timeout: Math.max(1, deadline - performance.now()) });
}

/** What is logged where a release that nobody waits for is refused. */
export function notReleased(key: string, error: unknown): string {
  return `The lock "${shownName(key)}" ends with its lease, it is not released: ${messageOf(error)}`;
}

/** A lock that was acquired. */
export interface Acquired {
  readonly revision: number;
  /** The moment of `performance.now()` at which its write began: the lease has not begun before. */
  readonly begun: number;
}

/**
 * A key that is locked, until {@linkcode KvLock.release} or the end of the lease, which is renewed meanwhile. Made by {@linkcode KvBucket.lock}.
 *
 * A suspended process does not notice that its lease has ended. Pass the {@linkcode KvLock.fence} with each effect, and refuse one that is lower
 * than the highest seen.
 *
 * @example Refuse a holder that was suspended too long
 * ```ts
 * import { close, kvBucket } from "@supercheck/jetstream";
 *
 * const lock = await kvBucket("locks").lock("report");
 * const reports = kvBucket("reports");
 * if (lock) {
 *   await reports.modify("fence", (entry) => {
 *     const isLate = lock.fence < Number(entry?.text() ?? 0);
 *     return isLate ? undefined : String(lock.fence);
 *   });
 *   await lock.release();
 * }
 * await close();
 * ```
 *
 * @category Buckets
 */
export class KvLock implements AsyncDisposable {
  /** The key. */
  readonly key: string;
  /** The revision of the acquisition: later holders of the same lock have a higher one. */
  readonly fence: number;
  readonly #access: LockAccess;
  readonly #lost = new AbortController();
  readonly #stopping = new AbortController();
  readonly #keeping: Promise<void>;
  #revision: number;
  /** The moment of `performance.now()` by which the lock must be renewed. */
  #expires: number;
  #expiry: ReturnType<typeof setTimeout> | undefined;
  /** Whether a renewal was not answered: it may be stored. */
  #isUnconfirmed = false;
  #released: Promise<boolean | null> | null = null;

  /**
   * What `lock(key)` gives.
   * @ignore
   */
  constructor(access: LockAccess, { revision, begun }: Acquired) {
    this.#access = access;
    this.key = access.key;
    this.fence = this.#revision = revision;
    this.#expires = expiryOf(begun, access.lease);
    this.#watchExpiry();
    access.stream.context.closers.add(this.#close);
    this.#keeping = this.#keep(begun);
  }

  /** Aborts before the lease may be over elsewhere, when the lock was taken away, and when it is released. */
  get signal(): AbortSignal {
    // After a stop of the process it is read before its timer runs.
    if (performance.now() >= this.#expires) this.#expire();
    return this.#lost.signal;
  }

  /**
   * Releases the lock; a waiting process gets it at once. Later calls give the result of the first.
   *
   * @returns `false` if it was lost before: its lease has ended, or its key was written; `null` if it is not confirmed: then it is free once the lease is over.
   */
  release(): Promise<boolean | null> {
    return this.#released ??= this.#release();
  }

  /** Releases it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  async #release(): Promise<boolean | null> {
    const { timeout, logger } = this.#access.stream.context;
    this.#end(new DOMException(`The lock "${shownName(this.key)}" was released`, "AbortError"));
    const removing = this.#remove(timeout);
    // A renewal that is under way uses a part of the time; the removal goes on behind the call.
    if (await settledWithin(removing, timeout)) return await removing;
    removing.catch((error) => logger.warn(notReleased(this.key, error)));
    return null;
  }

  async #remove(timeout: number): Promise<boolean | null> {
    await settledWithin(this.#keeping, timeout);
    return await removeLock(this.#access, (call) => this.#ownRevision(call), performance.now() + timeout);
  }

  /** The revision that the key has if it is still this lock's. */
  async #ownRevision(call: Call): Promise<number> {
    return this.#isUnconfirmed ? await storedRevision(call, this.#access) ?? this.#revision : this.#revision;
  }

  /** Renews the lock until it is released or lost. What was found stored has used a part of its lease already. */
  async #keep(begun: number): Promise<void> {
    const { signal } = this.#stopping;
    for (let pause = Math.max(0, begun + this.#access.lease / RENEWALS - performance.now()); !signal.aborted;) {
      await delay(pause, { signal, persistent: false });
      if (signal.aborted) return;
      const renewed = await this.#renew().catch((error) => this.#refuse(error));
      if (renewed === undefined) return;
      if (renewed === false) return this.#lose("replaced", "was lost: its lease has ended, or its key was written");
      pause = renewed ? this.#access.lease / RENEWALS : RETRY_MS;
    }
  }

  /** Writes the key anew; `false` if it is not this lock's any more, `null` if that is not confirmed. */
  async #renew(): Promise<boolean | null> {
    const { stream, writer, subject, value, lease } = this.#access;
    const begun = performance.now();
    const timeout = Math.max(1, Math.min(stream.context.timeout, this.#expires - begun));
    let guard: Guard | undefined;
    const renewed = await stream.context.connection.attempt(async (call) => {
      guard ??= new Guard(await this.#ownRevision(call));
      const revision = await writer.guarded(call, { subject, value, ttl: lease, guard });
      // An unconfirmed renewal may be stored after a later read.
      return { revision, isOwn: revision !== false || await storedRevision(call, this.#access) !== undefined };
    }, { timeout });
    if (renewed && !renewed.isOwn) return false;
    this.#isUnconfirmed = typeof renewed?.revision !== "number";
    if (this.#isUnconfirmed) return null;
    this.#revision = renewed!.revision as number;
    this.#expires = expiryOf(begun, lease);
    if (!this.#stopping.signal.aborted) this.#watchExpiry();
    return true;
  }

  #watchExpiry(): void {
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(() => this.#expire(), Math.max(0, this.#expires - performance.now())).unref();
  }

  #expire(): void {
    this.#lose("disconnected", "was not renewed in time: NATS does not answer");
  }

  #lose(code: "disconnected" | "replaced", why: string): void {
    this.#end(new JetStreamStoreError(code, `The lock "${shownName(this.key)}" ${why}`));
  }

  /** The server refuses the renewal for good. */
  #refuse(error: unknown): void {
    const what = `The lock "${shownName(this.key)}" ends with its lease, it is not renewed`;
    this.#access.stream.context.logger.warn(`${what}: ${messageOf(error)}`);
  }

  #end(reason: unknown): void {
    this.#stopping.abort();
    clearTimeout(this.#expiry);
    this.#access.stream.context.closers.delete(this.#close);
    this.#lost.abort(reason);
  }

  readonly #close = async (deadline: number) => {
    await settledWithin(this.release(), deadline);
  };
}
