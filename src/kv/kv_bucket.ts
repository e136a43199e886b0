import type { Context } from "../wire/context.ts";
import { checkName } from "../wire/tokens.ts";
import type { KvEntry } from "./kv_entry.ts";
import { listEntries, listHistory, listKeys, watchEntries } from "./_kv_lists.ts";
import type { KvLock } from "./kv_lock.ts";
import { type KvLockOptions, lockKey } from "./lock_key.ts";
import { KvMirror } from "./_kv_mirror.ts";
import { checkModification, type KvChange, KvModifier, MODIFYING } from "./kv_modify.ts";
import {
  checkKvOptions,
  type KvBucketOptions,
  type KvDeleteOptions,
  type KvGetManyOptions,
  type KvGetOptions,
  type KvWatchOptions,
} from "./kv_options.ts";
import { KvReader } from "./_kv_reader.ts";
import { type KvStatus, kvStatus } from "./kv_status.ts";
import { KvStream } from "./_kv_stream.ts";
import { KvTransaction } from "./kv_transaction.ts";
import type { KvWriteOptions } from "./kv_write.ts";
import { KvWriter } from "./_kv_writer.ts";

/**
 * A key-value bucket, in the format of all NATS clients (ADR-8).
 *
 * Any non-empty string is a key: made of `A-Z a-z 0-9 - / _ = .` it looks the same to every client, and other characters are encoded token by token.
 * The bucket is made by the first write; reads of what is not there are `null`, as is everything while there is no connection.
 *
 * With replicas a process reads what it has written, whichever handle has written it, and never less than it has read: for the 10 000 keys of a
 * bucket that it used last, and for what it wrote within the last minute. A list from a replica that lags behind has its own writes of these keys.
 *
 * Each method throws a `TypeError` or a `RangeError` if an argument is not what it must be (a key: a non-empty, well-formed string of at most 3 000
 * bytes as a subject; a value: no larger than the server takes), and a `JetStreamStoreError` if the server refuses for good, or the stream of this
 * name is no key-value bucket. What lists or follows gives an iterable; iterating throws a `JetStreamStoreError` (`disconnected`) if there is no
 * connection when it begins, and when a list breaks off.
 *
 * @example
 * ```ts
 * import { close, kvBucket } from "@supercheck/jetstream";
 *
 * const visits = kvBucket("visits", { ttl: 3_600_000 });
 * await visits.put("page.home", JSON.stringify({ count: 1 }));
 * const entry = await visits.get("page.home");
 * const page: { count: number } | undefined = entry?.json();
 * console.log(page?.count); // 1
 * await close();
 * ```
 *
 * @category Buckets
 */
export class KvBucket {
  /** The bucket's name. */
  readonly name: string;
  readonly #stream: KvStream;
  readonly #reader: KvReader;
  readonly #writer: KvWriter;
  readonly #modifier: KvModifier;
  readonly #mirror: KvMirror | null;

  /**
   * What `kvBucket(name, options)` is made of.
   * @ignore
   */
  constructor(context: Context, name: string, given?: KvBucketOptions) {
    checkName(name, "bucket");
    const options = checkKvOptions(given);
    this.name = name;
    this.#stream = new KvStream(context, name, options);
    this.#mirror = options.cache ? new KvMirror(this.#stream) : null;
    this.#reader = new KvReader(this.#stream, this.#mirror);
    this.#writer = new KvWriter(this.#stream);
    this.#modifier = new KvModifier(this.#stream, this.#reader, this.#writer);
  }

  /**
   * Reads the value of a key: what this process has written or read before, or newer, also where a replica lags behind.
   *
   * @returns `null` if the key has no value (never had one, is deleted, has expired), or without a connection.
   */
  get(key: string, options?: KvGetOptions): Promise<KvEntry | null> {
    return this.#reader.get(key, options);
  }

  /**
   * Reads the values of many keys in few requests; keys without a value are not in the map.
   *
   * @returns `null` without a connection, or if not all of them could be read within the deadline.
   * @throws {JetStreamStoreError} `unsupported`, if a snapshot is asked of a bucket that does not allow direct gets.
   */
  async getMany(keys: Iterable<string>, options?: KvGetManyOptions): Promise<Map<string, KvEntry> | null> {
    return await this.#reader.getMany(keys, options);
  }

  /**
   * Stores a value, whatever is there. Objects go in as `JSON.stringify(value)` and come out by `entry.json()`.
   *
   * @returns The revision; `null` if it is not confirmed: without a connection nothing is stored, without an answer it may be, also later and over newer
   * values, if a server that was silent goes on. {@linkcode KvBucket.update} cannot do that.
   */
  put(key: string, value: string | Uint8Array, options?: KvWriteOptions): Promise<number | null> {
    return this.#writer.put(key, value, options);
  }

  /**
   * Stores the value of a key that has none.
   *
   * @returns The revision; `false` if the key has a value; `null` if it is not confirmed: then it may be stored.
   *
   * @example Only one of many processes does it
   * ```ts
   * import { close, kvBucket } from "@supercheck/jetstream";
   *
   * const locks = kvBucket("locks", { ttl: 60_000 });
   * const isMine = await locks.create("nightly-report", "me");
   * if (isMine) console.log("it is mine for a minute");
   * await close();
   * ```
   */
  async create(key: string, value: string | Uint8Array, options?: KvWriteOptions): Promise<number | false | null> {
    return await this.#writer.create(key, value, options);
  }

  /**
   * Stores a value if the key still has the revision that was read before.
   *
   * @returns The new revision; `false` if another write was faster; `null` if it is not confirmed: then it may be stored.
   */
  async update(
    key: string,
    value: string | Uint8Array,
    revision: number,
    options?: KvWriteOptions,
  ): Promise<number | false | null> {
    return await this.#writer.update(key, value, revision, options);
  }

  /**
   * Changes the value of a key by compare and set: reads it, calls `change`, and stores what that returns if the key was not written meanwhile;
   * else it begins again with the newer value. So `change` may be called several times, and must do nothing but compute.
   *
   * @param change Returns the new value; `null` to delete the key; `undefined` to leave it as it is. What it throws is thrown.
   * @returns The entry as it is then: of a deleted key one whose `operation` is `delete`, of one that was left what was read. `null` if the key has no
   * value and none is stored; or if it is not confirmed: without a connection nothing is stored, without an answer it may be.
   *
   * @example Count
   * ```ts
   * import { close, kvBucket } from "@supercheck/jetstream";
   *
   * const next = (count = 0) => JSON.stringify(count + 1);
   * await kvBucket("visits").modify("home", (entry) => next(entry?.json()));
   * await close();
   * ```
   */
  async modify(key: string, change: KvChange, options?: KvWriteOptions): Promise<KvEntry | null> {
    const modification = checkModification(key, this.#stream.subjectOf(key, MODIFYING), change, options);
    return await this.#stream.observe("modify", (call) => this.#modifier.modify(call, modification));
  }

  /**
   * Begins a transaction: up to 1000 writes of this bucket that are stored together or not at all, under conditions. Several writes need nats-server
   * 2.12; one write with one check works on all, and costs no more than an `update`.
   *
   * @example See {@linkcode KvTransaction} for a transfer between two accounts
   * ```ts
   * import { close, kvBucket } from "@supercheck/jetstream";
   *
   * const plans = kvBucket("plans");
   * await plans.atomic().put("basic", "5 EUR").delete("old").commit();
   * await close();
   * ```
   */
  atomic(): KvTransaction {
    return new KvTransaction(this.#stream);
  }

  /**
   * Locks a key: no other process locks it before it is released, or the lease has ended, which is renewed meanwhile. A waiting process is notified
   * by the server, it does not poll; it gets the lock at the release, or when the lease of a dead holder ends. It needs a bucket with
   * `history` 1 and no `ttl` shorter than the lease.
   *
   * A process that was suspended beyond its lease may still act. To exclude it, pass `fence` with each effect and refuse one lower than the highest
   * seen.
   *
   * @returns `null` if another holder keeps it for longer than `wait`, or without a connection; without an answer the key may stay locked until the
   * lease has ended.
   * @throws What `signal` aborts with.
   *
   * @example One process at a time
   * ```ts
   * import { close, kvBucket } from "@supercheck/jetstream";
   *
   * await using lock = await kvBucket("locks").lock("report", { wait: 60_000 });
   * if (lock) console.log("holding", lock.fence, lock.signal.aborted);
   * await close();
   * ```
   */
  async lock(key: string, options?: KvLockOptions): Promise<KvLock | null> {
    return await lockKey(this.#stream, this.#writer, key, options);
  }

  /**
   * Deletes a key; its older revisions stay in the history.
   *
   * @returns `true`, whether it had a value or not; `null` if it is not confirmed.
   */
  delete(key: string): Promise<true | null>;
  /**
   * Deletes a key if it still has a revision.
   *
   * @returns `false` if another write was faster; `null` if it is not confirmed: then it may be deleted.
   */
  delete(key: string, options: KvDeleteOptions): Promise<boolean | null>;
  async delete(key: string, options?: KvDeleteOptions): Promise<boolean | null> {
    return await this.#writer.remove(key, "delete", options);
  }

  /**
   * Deletes a key with all its revisions.
   *
   * @returns `true`, whether it had a value or not; `null` if it is not confirmed.
   */
  purge(key: string): Promise<true | null>;
  /**
   * As {@linkcode KvBucket.delete} with a revision.
   *
   * @returns `false` if another write was faster; `null` if it is not confirmed: then it may be deleted.
   */
  purge(key: string, options: KvDeleteOptions): Promise<boolean | null>;
  async purge(key: string, options?: KvDeleteOptions): Promise<boolean | null> {
    return await this.#writer.remove(key, "purge", options);
  }

  /**
   * Lists the keys that have a value, each once.
   *
   * @param filter Which: `*` stands for one token between dots, `>` at the end for one or more; all else is literal.
   */
  keys(filter: string = ">"): AsyncIterable<string> {
    return listKeys(this.#stream, filter);
  }

  /**
   * Lists the entries of the keys that have a value, each key once.
   *
   * @param filter As of {@linkcode KvBucket.keys}.
   */
  entries(filter: string = ">"): AsyncIterable<KvEntry> {
    return listEntries(this.#stream, filter);
  }

  /** Lists all revisions of a key that are kept, the oldest first, deletions among them. */
  history(key: string): AsyncIterable<KvEntry> {
    return listHistory(this.#stream, key);
  }

  /**
   * Follows the keys: first what is there, then each change. It resumes by itself after a reconnect, and when the bucket was made again; what was
   * written meanwhile comes then: the newest value of each key, not all that it has replaced. It ends with the loop, with `signal`, and on `close()`.
   *
   * @param filter As of {@linkcode KvBucket.keys}, one or several.
   *
   * @example
   * ```ts
   * import { close, kvBucket } from "@supercheck/jetstream";
   *
   * const flags = kvBucket("flags");
   * if (await flags.put("dark-mode", "on")) {
   *   for await (const { key } of flags.watch()) if (key === "dark-mode") break;
   * }
   * await close();
   * ```
   */
  watch(filter: string | readonly string[] = ">", options?: KvWatchOptions): AsyncIterable<KvEntry> {
    return watchEntries(this.#stream, filter, options);
  }

  /**
   * Tells the state of the bucket, and how it was made.
   *
   * @returns `null` if there is no such bucket, or without a connection.
   */
  async status(): Promise<KvStatus | null> {
    return await this.#stream.observe("status", async (call) => {
      const info = await this.#stream.info(call);
      return info && kvStatus(this.name, info);
    });
  }

  /**
   * Removes the bucket with all that is in it. The next write makes a new one.
   *
   * @returns `false` if there was none; `null` if it is not confirmed.
   */
  async destroy(): Promise<boolean | null> {
    const destroyed = await this.#stream.destroy();
    if (destroyed) this.#mirror?.distrust();
    return destroyed;
  }
}
