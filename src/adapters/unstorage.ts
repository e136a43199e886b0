/**
 * A driver for [unstorage](https://unstorage.unjs.io) over a key-value bucket. It does not depend on unstorage.
 *
 * @example Items that all instances of a service share
 * ```ts
 * import { createStorage } from "unstorage";
 * import { close, connect, kvBucket } from "@supercheck/jetstream";
 * import { unstorageDriver } from "@supercheck/jetstream/unstorage";
 *
 * const driver = unstorageDriver(kvBucket("items"));
 * const storage = createStorage({ driver });
 *
 * if (await connect()) {
 *   await storage.setItem("users:ann", { name: "Ann" }, { ttl: 60 });
 *   console.log(await storage.getKeys("users")); // [ "users:ann" ]
 * }
 * await close();
 * ```
 * @module
 */
import { checkFunction, wrongType } from "../checks.ts";
import { KvBucket } from "../kv/kv_bucket.ts";
import { settledWithin } from "../delay.ts";
import { JetStreamStoreError } from "../errors.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { AdapterBucket } from "./_adapter_bucket.ts";

/**
 * Options of {@linkcode unstorageDriver}.
 *
 * @category Adapters
 */
export interface UnstorageDriverOptions {
  /**
   * Called with the error that ends a watch, or that a listener of one has thrown.
   *
   * @default {console.error}
   */
  onError?: (error: unknown) => void;
}

/**
 * Options of one call, as unstorage hands them through.
 *
 * @category Adapters
 */
export interface UnstorageItemOptions {
  /** Seconds that an item lives, as in the other drivers of unstorage. Needs nats-server 2.11 and a bucket with `history` 1. */
  ttl?: number;
}

/**
 * What the server stores about an item.
 *
 * @category Adapters
 */
export interface UnstorageItemMeta {
  /** When it was stored. */
  mtime: Date;
  /** Bytes that it has. */
  size: number;
  /** The revision in the bucket. */
  revision: number;
  /** unstorage takes more. */
  [name: string]: Date | number;
}

/**
 * An item of a call for many.
 *
 * @category Adapters
 */
export interface UnstorageItem {
  /** Its key. */
  key: string;
  /** Options of this item; they come before those of the call. */
  options?: UnstorageItemOptions;
}

/**
 * What unstorage calls a driver: everything that is asked of it goes to the bucket. Each method throws a `JetStreamStoreError` (`disconnected`) without a
 * connection, and when a write is not confirmed.
 *
 * @category Adapters
 */
export interface UnstorageDriver {
  /** The driver's name. */
  name: string;
  /** What the driver can do by itself. */
  flags: { ttl: boolean };
  /** The bucket. */
  getInstance(): KvBucket;
  /** Tells whether a key has an item. */
  hasItem(key: string): Promise<boolean>;
  /** Loads an item as text; `null`: there is none. */
  getItem(key: string): Promise<string | null>;
  /** Loads many items as text, in the order of their keys. */
  getItems(items: UnstorageItem[]): Promise<{ key: string; value: string | null }[]>;
  /** Loads an item as bytes; `null`: there is none. */
  getItemRaw(key: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Stores an item. */
  setItem(key: string, value: string, options?: UnstorageItemOptions): Promise<void>;
  /** Stores many items at once; throws if one of them is not confirmed. */
  setItems(
    items: (UnstorageItem & { /** The item. */ value: string })[],
    options?: UnstorageItemOptions,
  ): Promise<void>;
  /** Stores an item: a text, or bytes as they are. */
  setItemRaw(key: string, value: unknown, options?: UnstorageItemOptions): Promise<void>;
  /** Removes an item. */
  removeItem(key: string): Promise<void>;
  /** Returns what the server stores about an item; `null`: there is none. */
  getMeta(key: string): Promise<UnstorageItemMeta | null>;
  /** Lists the keys below a base. */
  getKeys(base?: string): Promise<string[]>;
  /** Removes the items below a base. */
  clear(base?: string): Promise<void>;
  /** Ends the watches. The connection stays open: it is not the driver's. */
  dispose(): Promise<void>;
  /**
   * Follows all changes, whoever makes them, also after a reconnect; an item that expires is none. No change after the promise has resolved is missed.
   *
   * @returns What ends it.
   */
  watch(callback: (event: "update" | "remove", key: string) => unknown): Promise<() => Promise<void>>;
}

const OPTIONS: OptionNames<UnstorageDriverOptions> = { onError: true };

/**
 * Makes a driver of unstorage over a bucket. The colons in its keys are the dots in those of the bucket, and the other way round: the item `users:ann`
 * is the key `users.ann` of every other NATS client.
 *
 * @param bucket The bucket, with a handle that stays in use.
 * @throws {TypeError} If it is no key-value bucket, or an option is wrong.
 *
 * @example
 * ```ts
 * import { createStorage } from "unstorage";
 * import { close, connect, kvBucket } from "@supercheck/jetstream";
 * import { unstorageDriver } from "@supercheck/jetstream/unstorage";
 *
 * const driver = unstorageDriver(kvBucket("items"));
 * const storage = createStorage({ driver });
 * if (await connect()) {
 *   await storage.watch((event, key) => console.log(event, key));
 *   await storage.setItem("greeting", "hello");
 * }
 * await close();
 * ```
 *
 * @category Adapters
 */
export function unstorageDriver(bucket: KvBucket, options?: UnstorageDriverOptions): UnstorageDriver {
  const doing = "make the driver of unstorage";
  if (!(bucket instanceof KvBucket)) throw wrongType(`${doing} as 'bucket' must be a KvBucket`, bucket);
  const { onError = console.error } = checkOptions(options, OPTIONS, doing);
  checkFunction(onError, doing, "onError");
  const store = new AdapterBucket(bucket);
  const watches = new DriverWatches(store, onError);
  const setItem = (key: string, value: string | Uint8Array, options: UnstorageItemOptions | undefined) =>
    store.set(key, value, milliseconds(options?.ttl));
  return {
    name: "@supercheck/jetstream",
    flags: { ttl: true },
    getInstance: () => bucket,
    hasItem: async (key) => await store.get(key) !== null,
    getItem: async (key) => (await store.get(key))?.text() ?? null,
    async getItems(items) {
      const found = await store.getMany(items.map(({ key }) => key));
      return items.map(({ key }) => ({ key, value: found.get(key)?.text() ?? null }));
    },
    getItemRaw: async (key) => (await store.get(key))?.value ?? null,
    setItem,
    async setItems(items, options) {
      await Promise.all(items.map((item) => setItem(item.key, item.value, { ...options, ...item.options })));
    },
    setItemRaw: (key, value, options) => setItem(key, rawValue(value), options),
    removeItem: (key) => store.delete(key),
    async getMeta(key) {
      const entry = await store.get(key);
      return entry && { mtime: entry.created, size: entry.value.length, revision: entry.revision };
    },
    getKeys: (base) => Array.fromAsync(store.keys(prefixOf(base))),
    clear: (base) => store.clear(prefixOf(base)),
    dispose: () => watches.end(),
    watch: (callback) => watches.begin(callback),
  };
}

/** Milliseconds within which a watch is in force, or fails. */
const WATCH_START_MS = 5_000;

/** The watches of one driver. */
class DriverWatches {
  readonly #store: AdapterBucket;
  readonly #onError: (error: unknown) => void;
  readonly #ends = new Set<() => Promise<void>>();

  constructor(store: AdapterBucket, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  async begin(callback: (event: "update" | "remove", key: string) => unknown): Promise<() => Promise<void>> {
    const stopping = new AbortController();
    const initialized = Promise.withResolvers<void>();
    const run = async () => {
      for await (const { key, isPut } of this.#store.changes(initialized.resolve, stopping.signal)) {
        try {
          callback(isPut ? "update" : "remove", key);
        } catch (error) {
          this.#onError(error);
        }
      }
    };
    const ended = run();
    const end = async () => {
      stopping.abort();
      await ended.catch(() => {});
    };
    this.#ends.add(end);
    ended.finally(() => this.#ends.delete(end)).catch(() => {});
    // Also where it ends before it is in force: the connection was closed.
    const disconnected = () => {
      throw new JetStreamStoreError("disconnected", "The items cannot be watched without a connection to NATS");
    };
    const begun = Promise.race([initialized.promise, ended.then(disconnected)]);
    if (!await settledWithin(begun, WATCH_START_MS)) {
      await end();
      disconnected();
    }
    await begun;
    ended.catch(this.#onError);
    return end;
  }

  async end(): Promise<void> {
    await Promise.all([...this.#ends].map((end) => end()));
  }
}

/** A base of unstorage as a prefix of keys; it need not end with its colon. */
function prefixOf(base: string | undefined): string {
  return base ? base.replace(/:?$/, ":") : "";
}

function milliseconds(seconds: number | undefined): number | undefined {
  return typeof seconds === "number" ? seconds * 1_000 : seconds;
}

/**
 * What `setItemRaw` was given, as a value of the bucket.
 *
 * @throws {TypeError} If it is neither a text nor bytes.
 */
function rawValue(value: unknown): string | Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (typeof value === "string") return value;
  throw wrongType("store the item as 'value' must be a string, an ArrayBuffer or a view of one", value);
}
