/**
 * A storage adapter for [Keyv](https://keyv.org) 5 and 6 over a key-value bucket. It does not depend on Keyv.
 *
 * @example A cache that all instances of a service share
 * ```ts
 * import Keyv from "keyv";
 * import { close, kvBucket } from "@supercheck/jetstream";
 * import { KeyvStore } from "@supercheck/jetstream/keyv";
 *
 * const store = new KeyvStore(kvBucket("cache", { ttl: 3_600_000 }));
 * const users = new Keyv({ store, namespace: "users" });
 * users.on("error", (error) => console.error(error.message));
 *
 * await users.set("ann", { name: "Ann" }, 60_000);
 * console.log(await users.get("ann")); // { name: "Ann" }
 * await close();
 * ```
 * @module
 */
import { wrongType } from "../checks.ts";
import { KvBucket } from "../kv/kv_bucket.ts";
import { AdapterBucket } from "./_adapter_bucket.ts";

/**
 * What Keyv stores with {@linkcode KeyvStore.setMany}.
 *
 * @category Adapters
 */
export interface KeyvStoreEntry {
  /** The key, with the namespace before it. */
  key: string;
  /** The value, as Keyv has serialized it. */
  value: string;
  /** Milliseconds that it lives. */
  ttl?: number;
}

/**
 * The store of a `Keyv`. Namespaces are prefixes of its keys, so `clear()` of a namespace leaves others as they are.
 *
 * Without a connection, and when a write is not confirmed within its deadline, its methods throw a `JetStreamStoreError` (`disconnected`). Keyv reports
 * that as its `error` event; with `throwOnErrors`, Keyv 5 throws it. A read that fails is never a missing value without such an event.
 *
 * The TTL of a value needs nats-server 2.11 and a bucket with `history` 1. The server removes expired values at whole seconds; Keyv hides them to the
 * millisecond. The connection is not Keyv's: `disconnect()` leaves it open.
 *
 * Keyv 5 iterates only over stores of a fixed list of names; {@linkcode KeyvStore.iterator} can be called directly there.
 *
 * @example
 * ```ts
 * import Keyv from "keyv";
 * import { close, kvBucket } from "@supercheck/jetstream";
 * import { KeyvStore } from "@supercheck/jetstream/keyv";
 *
 * const store = new KeyvStore(kvBucket("cache"));
 * const keyv = new Keyv({ store });
 * keyv.on("error", (error) => console.error(error.message));
 * await keyv.set("greeting", "hello");
 * await close();
 * ```
 *
 * @category Adapters
 */
export class KeyvStore {
  /** What Keyv 5 reads of a store. */
  readonly opts: { dialect: "nats"; url: string } = { dialect: "nats", url: "nats:" };
  readonly #bucket: AdapterBucket;
  readonly #listeners: ((error: unknown) => void)[] = [];
  #namespace: string | undefined;
  #isOfKeyv5 = false;

  /**
   * Makes the store of a `Keyv`. One store serves one `Keyv`; several stores may share a bucket.
   *
   * @param bucket The bucket, with a handle that stays in use.
   * @throws {TypeError} If it is no key-value bucket.
   */
  constructor(bucket: KvBucket) {
    if (!(bucket instanceof KvBucket)) throw wrongType("make the store of Keyv as 'bucket' must be a KvBucket", bucket);
    this.#bucket = new AdapterBucket(bucket);
  }

  /** The namespace that keys begin with; set by Keyv 5. */
  get namespace(): string | undefined {
    return this.#namespace;
  }

  /** Set by Keyv 5; Keyv 6 keeps its namespaces itself. */
  set namespace(namespace: string | undefined) {
    this.#namespace = namespace;
    this.#isOfKeyv5 = true;
  }

  /** Loads what Keyv has serialized for a key; `undefined`: nothing. */
  async get(key: string): Promise<string | undefined> {
    try {
      return (await this.#bucket.get(key))?.text();
    } catch (error) {
      // Keyv 5 turns this error, and no other, into a missing value silently.
      if (this.#isOfKeyv5) { for (const listener of this.#listeners) listener(error); }
      throw error;
    }
  }

  /** Loads what Keyv has serialized for each of the keys, in their order. */
  async getMany(keys: string[]): Promise<(string | undefined)[]> {
    const found = await this.#bucket.getMany(keys);
    return keys.map((key) => found.get(key)?.text());
  }

  /**
   * Stores what Keyv has serialized.
   *
   * @param ttl Milliseconds that it lives, rounded up to whole seconds by the server.
   */
  async set(key: string, value: string, ttl?: number): Promise<boolean> {
    await this.#bucket.set(key, value, ttl);
    return true;
  }

  /** Stores many values at once; throws if one of them is not confirmed. */
  async setMany(entries: KeyvStoreEntry[]): Promise<boolean[]> {
    return await Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
  }

  /** Deletes a key. `false`: it had no value. */
  async delete(key: string): Promise<boolean> {
    if (await this.#bucket.get(key) === null) return false;
    await this.#bucket.delete(key);
    return true;
  }

  /** Deletes all keys: those of the namespace, if Keyv 5 has set one. */
  async clear(): Promise<void> {
    await this.#bucket.clear(prefixOf(this.#namespace));
  }

  /** Lists the keys, with the namespace before each, and what Keyv has serialized for them. */
  async *iterator(namespace?: string): AsyncGenerator<[key: string, value: string], void> {
    yield* this.#bucket.texts(prefixOf(namespace));
  }

  /** Listens to failed reads that Keyv 5 does not report. */
  on(event: string, listener: (error: unknown) => void): this {
    if (event === "error") this.#listeners.push(listener);
    return this;
  }
}

/** Keyv 5 has one colon behind the namespace, Keyv 6 has two. */
function prefixOf(namespace: string | undefined): string {
  return namespace ? `${namespace}:` : "";
}
