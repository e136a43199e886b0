import { nuid } from "@nats-io/nats-core";
import { checkDuration, checkSignal, wrong } from "../checks.ts";
import { delay } from "../delay.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import type { Call } from "../wire/call.ts";
import type { Session } from "../wire/session.ts";
import { followStream } from "../wire/follow_stream.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { operationOf } from "./kv_entry.ts";
import { type Acquired, expiryOf, KvLock, type LockAccess } from "./kv_lock.ts";
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
  /** Ends the wait: the call throws the signal's reason. */
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
  const until = performance.now() + wait;
  const access: LockAccess = { stream, writer, key, subject, lease, value: nuid.next() };
  let acquired = await tryLock(access);
  if (acquired === false && wait > 0) acquired = await new LockWaiter(access, until, signal).acquire();
  return acquired ? new KvLock(access, acquired) : null;
}

/** Waits until a key is free and locks it: a watch shows its release, and when its lease can be over. */
export class LockWaiter {
  readonly #access: LockAccess;
  /** The moment of `performance.now()` until which it waits. */
  readonly #until: number;
  readonly #signal: AbortSignal | undefined;
  readonly #stopping = new AbortController();
  #wake = new AbortController();
  #session: Session | null = null;
  #retryMs = RETRY_MS.first;
  /** The moment of `performance.now()` at which the key is free, as far as is known. */
  #freeAt = Infinity;
  /** When the present attempt began. */
  #attempting: number | null = null;
  /** When the last unconfirmed attempt began. */
  #unconfirmed: number | null = null;
  /** The lock, where the watch shows that such an attempt was stored. */
  #own: Acquired | null = null;
  #failure: { error: unknown } | null = null;

  constructor(access: LockAccess, until: number, signal: AbortSignal | undefined) {
    this.#access = access;
    this.#until = until;
    this.#signal = signal;
  }

  /**
   * Locks the key as soon as it is free; `null` if it was not in time, or the stores were closed.
   *
   * @throws The signal's reason, if it aborts; a `JetStreamStoreError`, if the server refuses.
   */
  async acquire(): Promise<Acquired | null> {
    const { closers } = this.#access.stream.context;
    const following = this.#follow().catch((error) => this.#failure = { error }).finally(() => this.#notify());
    const stop = async () => {
      this.#stopping.abort();
      this.#notify();
      await following;
    };
    const abort = () => void stop();
    closers.add(stop);
    this.#signal?.addEventListener("abort", abort, { once: true });
    try {
      return await this.#acquire();
    } finally {
      this.#signal?.removeEventListener("abort", abort);
      closers.delete(stop);
      await stop();
    }
  }

  async #acquire(): Promise<Acquired | null> {
    for (;;) {
      this.#signal?.throwIfAborted();
      if (this.#failure) throw this.#failure.error;
      const now = performance.now();
      if (this.#own || this.#stopping.signal.aborted || now >= this.#until) return this.#own;
      if (now < this.#freeAt) {
        await delay(Math.min(this.#freeAt, this.#until) - now, { signal: this.#wake.signal });
        this.#wake = this.#wake.signal.aborted ? new AbortController() : this.#wake;
        continue;
      }
      this.#freeAt = now + this.#retryMs;
      this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS.last);
      this.#attempting = now;
      const acquired = await tryLock(this.#access);
      if (acquired) return acquired;
      if (acquired === null) this.#unconfirmed = now;
      this.#attempting = null;
    }
  }

  /** Follows the key: each time it begins, the newest entry comes first. */
  async #follow(): Promise<void> {
    const { stream, subject } = this.#access;
    let isEmpty = true;
    const options = {
      stream: stream.name,
      filter: stream.stored(subject),
      from: "last" as const,
      resume: false,
      begun: (_info: unknown, session: Session) => {
        this.#session = session;
        isEmpty = true;
      },
    };
    for await (const message of followStream(stream.context, options, this.#stopping.signal)) {
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
      const begun = Math.min(attempted, now - age);
      if (now < expiryOf(begun, this.#access.lease)) this.#own = { revision: message.sequence, begun };
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

/**
 * Locks a key that is free.
 *
 * @returns `false` if it is locked; `null` if it is not confirmed.
 * @throws {RangeError} If the bucket's TTL is shorter than the lease.
 */
export async function tryLock(access: LockAccess): Promise<Acquired | false | null> {
  const { stream, writer, subject, value, lease } = access;
  const begun = performance.now();
  const guard = new Guard(0);
  const operation = async (call: Call) => {
    checkValueTtl(stream, await stream.openWithTtl(call));
    if (stream.ttl < lease) {
      throw wrong(RangeError, `${LOCKING} as 'lease' must be ≤ the bucket's ttl, ${stream.ttl} ms`, lease);
    }
    return { revision: await writer.guarded(call, { subject, value, ttl: lease, guard }) };
  };
  // What takes longer than the lease may be over as it is confirmed.
  const timeout = Math.min(stream.context.timeout, lease / 2);
  const stored = await stream.observe("lock", operation, { timeout });
  if (stored === null || stored.revision === null) return null;
  return stored.revision !== false && { revision: stored.revision, begun };
}
