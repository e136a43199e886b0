import { nuid } from "@nats-io/nats-core";
import { checkDuration, checkSignal, wrong } from "../checks.ts";
import { delay, settledWithin } from "../delay.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import type { Call } from "../wire/call.ts";
import { mayBeStored } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import { followStream } from "../wire/follow/follow_stream.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { operationOf } from "./kv_entry.ts";
import {
  type Acquired,
  expiryOf,
  KvLock,
  type LockAccess,
  notReleased,
  removeLock,
  storedRevision,
} from "./kv_lock.ts";
import type { KvStream } from "./_kv_stream.ts";
import { checkValueTtl, Guard } from "./kv_write.ts";
import type { KvWriter } from "./_kv_writer.ts";
import { messageTtl } from "../wire/message_ttl.ts";

/**
 * Milliseconds after a refused attempt until the next one, unless the watch shows more: the server may remove an expired entry a little late. Doubles each
 * time, up to the last.
 */
const RETRY_MS = { first: 50, last: 1_000 };

/**
 * How a key is locked.
 *
 * @category Buckets
 */
export interface KvLockOptions {
  /**
   * Milliseconds after which the lock of a process that died is free, at least 1000; the server counts whole seconds, rounded up. It is renewed three
   * times as often.
   *
   * @default {10_000}
   */
  lease?: number;
  /**
   * Milliseconds to wait for a lock that is held. It may take one `timeout` of the stores longer until that is known.
   *
   * @default {0}
   */
  wait?: number;
  /**
   * Ends the wait: the call throws the signal's reason, once a lock that it has stored meanwhile is released, which may take one `timeout` of the
   * stores longer.
   */
  signal?: AbortSignal;
}

const LOCK: OptionNames<KvLockOptions> = { lease: true, wait: true, signal: true };

const LOCKING = "lock the key";

/** {@linkcode KvBucket.lock}. */
export async function lockKey(
  stream: KvStream,
  writer: KvWriter,
  key: string,
  given: KvLockOptions | undefined,
): Promise<KvLock | null> {
  const subject = stream.subjectOf(key, LOCKING);
  const { lease = 10_000, wait = 0, signal } = checkOptions(given, LOCK, LOCKING);
  checkDuration(lease, LOCKING, "lease", 1_000);
  checkDuration(wait, LOCKING, "wait", 0);
  if (signal !== undefined) checkSignal(signal, LOCKING);
  signal?.throwIfAborted();
  const access: LockAccess = { stream, writer, key, subject, lease, value: nuid.next() };
  return await new Locking(access, wait, signal).lock();
}

/** One call that locks a key. Where it is held, a watch shows its release, and when its lease can be over. */
class Locking {
  readonly #access: LockAccess;
  /** The moment of `performance.now()` until which it waits. */
  readonly #until: number;
  readonly #signal: AbortSignal | undefined;
  /** The moment of `performance.now()` at which the signal aborted, or the stores were closed. */
  #stopped = Infinity;
  #wake = new AbortController();
  #session: Session | null = null;
  #retryMs = RETRY_MS.first;
  /** The moment of `performance.now()` at which the key is free, as far as is known. */
  #freeAt = Infinity;
  /** When the present attempt began. */
  #attempting: number | null = null;
  /** When the last attempt began that may be stored without a confirmation. */
  #unconfirmed: number | null = null;
  /** The lock, where the watch shows that such an attempt was stored. */
  #own: Acquired | null = null;
  #failure: { error: unknown } | null = null;
  /** The watch, until its consumer is removed. */
  #following: Promise<unknown> = Promise.resolve();

  constructor(access: LockAccess, wait: number, signal: AbortSignal | undefined) {
    this.#access = access;
    this.#until = performance.now() + wait;
    this.#signal = signal;
  }

  /**
   * Locks the key as soon as it is free; `null` if it was not in time, or the stores were closed. What is stored without its caller is released.
   *
   * @throws The signal's reason, if it aborts; a `JetStreamStoreError`, if the server refuses.
   */
  async lock(): Promise<KvLock | null> {
    const { closers } = this.#access.stream.context;
    const ended = Promise.withResolvers<void>();
    const stop = () => {
      this.#stopped = Math.min(this.#stopped, performance.now());
      this.#notify();
    };
    const close = () => (stop(), ended.promise);
    closers.add(close);
    this.#signal?.addEventListener("abort", stop, { once: true });
    let withdrawn = Promise.resolve();
    try {
      const acquired = await this.#acquire().catch((error) => (this.#failure ??= { error }, null));
      if (acquired && this.#stopped === Infinity) return new KvLock(this.#access, acquired);
      withdrawn = this.#withdraw(acquired);
      // A server that is silent is not waited for longer; the release goes on.
      await settledWithin(Promise.all([withdrawn, this.#following]), this.#end() - performance.now());
      this.#signal?.throwIfAborted();
      if (this.#failure) throw this.#failure.error;
      return null;
    } finally {
      this.#signal?.removeEventListener("abort", stop);
      withdrawn.then(() => {
        closers.delete(close);
        ended.resolve();
      });
    }
  }

  async #acquire(): Promise<Acquired | null> {
    const acquired = await this.#attempt();
    // Without a connection it does not wait.
    if (acquired || acquired === undefined || this.#until <= performance.now()) return acquired || null;
    const waiting = new AbortController();
    this.#following = this.#follow(waiting.signal).catch((error) => this.#failure = { error })
      .finally(() => this.#notify());
    return await this.#waitAndAttempt().finally(() => waiting.abort());
  }

  async #waitAndAttempt(): Promise<Acquired | null> {
    for (;;) {
      const now = performance.now();
      if (this.#own && now < expiryOf(this.#own.begun, this.#access.lease)) return this.#own;
      if (this.#failure || this.#stopped <= now || this.#until <= now) return null;
      if (now < this.#freeAt) {
        await delay(Math.min(this.#freeAt, this.#until) - now, { signal: this.#wake.signal });
        this.#wake = this.#wake.signal.aborted ? new AbortController() : this.#wake;
        continue;
      }
      this.#freeAt = now + this.#retryMs;
      this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.last);
      const acquired = await this.#attempt();
      if (acquired) return acquired;
    }
  }

  /**
   * Locks the key if it is free.
   *
   * @returns `false` if it is locked; `null` if it is not confirmed; `undefined` without a connection.
   * @throws {RangeError} If the bucket's TTL is shorter than the lease.
   */
  async #attempt(): Promise<Acquired | false | null | undefined> {
    const { stream, writer, subject, value, lease } = this.#access;
    const begun = this.#attempting = performance.now();
    const guard = new Guard(0);
    let last: Call | undefined;
    const operation = async (call: Call) => {
      last = call;
      checkValueTtl(stream, await stream.openWithTtl(call));
      if (stream.ttl < lease) {
        throw wrong(RangeError, `${LOCKING} as 'lease' must be ≤ the bucket's ttl, ${stream.ttl} ms`, lease);
      }
      return { revision: await writer.guarded(call, { subject, value, ttl: lease, guard }) };
    };
    try {
      // What takes longer than the lease may be over as it is confirmed.
      const stored = await stream.observe("lock", operation, { timeout: Math.min(stream.context.timeout, lease / 2) });
      if (stored === null || stored.revision === null) return last && null;
      return stored.revision !== false && { revision: stored.revision, begun };
    } finally {
      if (last && mayBeStored(last, subject)) this.#unconfirmed = begun;
      this.#attempting = null;
    }
  }

  /** Releases what is stored of a lock that its caller does not get, within one timeout. */
  async #withdraw(acquired: Acquired | null): Promise<void> {
    const stored = acquired ?? this.#own;
    if (!stored && this.#unconfirmed === null) return;
    const { stream, key } = this.#access;
    const revisionOf = async (call: Call) => stored?.revision ?? await storedRevision(call, this.#access);
    try {
      await removeLock(this.#access, revisionOf, performance.now() + stream.context.timeout);
    } catch (error) {
      // The call throws why it has no lock.
      stream.context.logger.warn(notReleased(key, error));
    }
  }

  /** The moment of `performance.now()` by which a call that ends now has ended: one timeout after it was to end. */
  #end(): number {
    return Math.min(this.#stopped, this.#until, performance.now()) + this.#access.stream.context.timeout;
  }

  /** Follows the key: each time it begins, the newest entry comes first. */
  async #follow(stop: AbortSignal): Promise<void> {
    const { stream, subject } = this.#access;
    let isEmpty = true;
    const begun = (_info: unknown, session: Session) => {
      this.#session = session;
      isEmpty = true;
    };
    const followed = { stream: stream.name, filter: stream.stored(subject), from: "last", resume: false } as const;
    for await (const message of followStream(stream.context, { ...followed, begun }, stop)) {
      if (message) this.#note(message);
      else if (isEmpty) this.#setFree(performance.now());
      isEmpty = false;
    }
  }

  #note(message: StoredMessage): void {
    const now = performance.now();
    this.#retryMs = RETRY_MS.first;
    this.#own = null;
    if (operationOf(message) !== "put") return this.#setFree(now);
    const age = Math.max(0, this.#session ? this.#session.now(now) - message.time.getTime() : 0);
    const attempted = this.#attempting ?? this.#unconfirmed;
    if (attempted !== null && new TextDecoder().decode(message.data) === this.#access.value) {
      // Any of the attempts may have stored it: its lease counts from its own time.
      this.#own = { revision: message.sequence, begun: Math.min(attempted, now - age) };
    }
    this.#setFree(now + Math.min(messageTtl(message), this.#access.stream.ttl) - age);
  }

  #setFree(moment: number): void {
    this.#freeAt = moment;
    this.#notify();
  }

  #notify(): void {
    this.#wake.abort();
  }
}
