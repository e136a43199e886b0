import { checkDuration } from "../checks.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { KvBucket } from "../kv/kv_bucket.ts";
import type { KvEntry } from "../kv/kv_entry.ts";
import { shownName } from "../shown.ts";

/** Deletions in flight while a bucket is cleared. */
const DELETES_IN_FLIGHT = 256;

/**
 * A key-value bucket as other libraries expect a store. Their keys have parts separated by colons, those of NATS by dots, so the two are exchanged:
 * then a prefix is a filter of the server. What their API cannot distinguish from "not there" throws: a `null` for lack of a connection.
 */
export class AdapterBucket {
  readonly #bucket: KvBucket;

  constructor(bucket: KvBucket) {
    this.#bucket = bucket;
  }

  /**
   * The entry of a key, or `null` if it has no value.
   *
   * @throws {JetStreamStoreError} `disconnected`, if the server cannot be asked.
   */
  async get(key: string): Promise<KvEntry | null> {
    const entry = await this.#bucket.get(exchanged(key));
    // A `null` may also mean that there is no connection; a read of many keys shows which.
    return entry ?? (await this.getMany([key])).get(key) ?? null;
  }

  /**
   * The entries of those keys that have a value.
   *
   * @throws {JetStreamStoreError} `disconnected`, if the server cannot be asked.
   */
  async getMany(keys: readonly string[]): Promise<Map<string, KvEntry>> {
    const found = await this.#bucket.getMany(keys.map(exchanged));
    if (found === null) throw disconnected(`${this.#what} cannot be read without a connection to NATS`);
    return new Map(Array.from(found, ([key, entry]) => [exchanged(key), entry]));
  }

  /**
   * Stores a value.
   *
   * @param ttl Milliseconds that it lives; `undefined`: as long as the bucket's values.
   * @throws {JetStreamStoreError} `disconnected`, if it is not confirmed.
   */
  async set(key: string, value: string | Uint8Array, ttl: number | undefined): Promise<void> {
    if (ttl !== undefined) checkDuration(ttl, "store the value", "ttl", 0);
    const revision = await this.#bucket.put(exchanged(key), value, ttl ? { ttl } : undefined);
    if (revision === null) throw this.#unconfirmed(`the value of ${shownName(key)}`);
  }

  /**
   * Deletes a key, whether it has a value or not.
   *
   * @throws {JetStreamStoreError} `disconnected`, if it is not confirmed.
   */
  async delete(key: string): Promise<void> {
    if (await this.#bucket.delete(exchanged(key)) === null) {
      throw this.#unconfirmed(`the deletion of ${shownName(key)}`);
    }
  }

  /** The keys that have a value and begin with `prefix`: empty, or whole parts with the colon behind them. */
  async *keys(prefix: string): AsyncGenerator<string, void> {
    for await (const key of this.#bucket.keys(filterOf(prefix))) {
      if (exchanged(key).startsWith(prefix)) yield exchanged(key);
    }
  }

  /** The keys with their values as text; else as {@linkcode AdapterBucket.keys}. */
  async *texts(prefix: string): AsyncGenerator<[key: string, text: string], void> {
    for await (const entry of this.#bucket.entries(filterOf(prefix))) {
      const key = exchanged(entry.key);
      if (key.startsWith(prefix)) yield [key, entry.text()];
    }
  }

  /**
   * Deletes the keys that begin with `prefix`.
   *
   * @throws {JetStreamStoreError} `disconnected`, if not all deletions are confirmed.
   */
  async clear(prefix: string): Promise<void> {
    let some: string[] = [];
    const deleteSome = () => Promise.all(some.map((key) => this.delete(key)));
    for await (const key of this.keys(prefix)) {
      some.push(key);
      if (some.length < DELETES_IN_FLIGHT) continue;
      await deleteSome();
      some = [];
    }
    await deleteSome();
  }

  /**
   * Follows the changes of all keys until `signal` aborts.
   *
   * @param initialized Called when no change is missed any more.
   */
  async *changes(initialized: () => void, signal: AbortSignal): AsyncGenerator<{ key: string; isPut: boolean }, void> {
    for await (const entry of this.#bucket.watch(">", { updatesOnly: true, initialized, signal })) {
      yield { key: exchanged(entry.key), isPut: entry.operation === "put" };
    }
  }

  get #what(): string {
    return `The key-value bucket ${this.#bucket.name}`;
  }

  #unconfirmed(what: string): JetStreamStoreError {
    const why = "there is no connection to NATS, or no reply came in time, in which case it may be stored";
    return disconnected(`${this.#what} has not confirmed ${what}: ${why}`);
  }
}

function disconnected(message: string): JetStreamStoreError {
  return new JetStreamStoreError("disconnected", message);
}

/** A key with its colons and dots exchanged; twice, it is the same again. */
function exchanged(key: string): string {
  return typeof key === "string" ? key.replace(/[.:]/g, (separator) => separator === "." ? ":" : ".") : key;
}

/** The filter over the keys of the bucket that lets all through that begin with a prefix, and may let more. */
function filterOf(prefix: string): string {
  const parts = exchanged(prefix).split(".").slice(0, -1);
  const wildcard = parts.findIndex((part) => part === "*" || part === ">");
  return [...(wildcard < 0 ? parts : parts.slice(0, wildcard)), ">"].join(".");
}
