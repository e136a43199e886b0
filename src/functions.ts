/**
 * The functions that services import: each is the method of the same name of {@linkcode JetStreamStores}, of the process-wide instance.
 * @module
 */
import type { ConnectOptions } from "./connection/connect_options.ts";
import type { CloseOnSignalsOptions, CloseOptions } from "./connection/close_on_signals.ts";
import type { ConnectionCounters, ConnectionInfo, ConnectionStatus } from "./connection/connection_info.ts";
import type { KvBucket } from "./kv/kv_bucket.ts";
import type { KvBucketOptions } from "./kv/kv_options.ts";
import type { KvWriteOptions } from "./kv/kv_write.ts";
import type { ObjectBucket } from "./object/object_bucket.ts";
import type { ObjectInfo } from "./object/format/object_info.ts";
import type { ObjectBucketOptions } from "./object/object_options.ts";
import type { KeyAndValue } from "./stores.ts";
import { processStores as stores } from "./process_stores.ts";

/**
 * Connects, if there is no connection yet, and waits for the first attempt. Optional: the first use of any function connects to
 * `SUPERCHECK_NATS_URL`. Concurrent calls share one attempt.
 *
 * @returns The server, or `null`: none is configured, or none can be reached, in which case the library keeps reconnecting.
 * @throws {TypeError | RangeError} If an option is wrong, or a variable of the connection.
 * @throws {JetStreamStoreError} If credentials or TLS were refused, or the runtime does not allow the connection; the library keeps reconnecting.
 *
 * @example Say at the start whether NATS is there
 * ```ts
 * import { close, connect } from "@supercheck/jetstream";
 *
 * const server = await connect();
 * console.log(server ? `NATS ${server.version}` : "without NATS for now");
 * await close();
 * ```
 *
 * @category Connection
 */
export const connect = (options?: ConnectOptions): Promise<ConnectionInfo | null> => stores.connect(options);

/**
 * Works over a connection that was made elsewhere: of any `@nats-io/*` transport, of nats.deno, or of `npm:nats` 2. It is never closed here. The
 * JetStream domain, or the prefix of its API, is that of the environment (of a {@linkcode JetStreamStores} that of its options).
 *
 * @throws {TypeError} If it is none of these, is closed or draining, or was made with `noEcho`.
 * @throws {RangeError} If the domain or the prefix is malformed.
 *
 * @example Share one connection
 * ```ts ignore
 * import { connect } from "@nats-io/transport-node";
 * import { useConnection } from "@supercheck/jetstream";
 *
 * useConnection(await connect({ servers: "nats://127.0.0.1:4222" }));
 * ```
 *
 * @category Connection
 */
export const useConnection = (nc: unknown): void => stores.useConnection(nc);

/**
 * Where the connection stands.
 *
 * @example In a readiness probe, and as metrics
 * ```ts
 * import { connectionCounters, connectionStatus } from "@supercheck/jetstream";
 *
 * console.log(connectionStatus()); // "none", before the first use
 * console.log(connectionCounters().disconnects);
 * ```
 *
 * @category Connection
 */
export const connectionStatus = (): ConnectionStatus => stores.connectionStatus();

/**
 * Counts the calls that were `null` because NATS was unavailable, and the connects and disconnects.
 *
 * @example As metrics
 * ```ts
 * import { connectionCounters } from "@supercheck/jetstream";
 *
 * const { degraded, disconnects } = connectionCounters();
 * console.log({ degraded, disconnects });
 * ```
 *
 * @category Connection
 */
export const connectionCounters = (): ConnectionCounters => stores.connectionCounters();

/**
 * Stops consumers, flushes and closes, within the deadline. Afterwards everything is `null` until `connect()` is called again. A handler may await
 * it: it then resolves when all other runs have ended, and the connection closes behind the handler's own run.
 *
 * @throws {RangeError} If the deadline is negative.
 *
 * @example On shutdown
 * ```ts
 * import { close } from "@supercheck/jetstream";
 *
 * await close({ deadline: 5_000 });
 * ```
 *
 * @category Connection
 */
export const close = (options?: CloseOptions): Promise<void> => stores.close(options);

/**
 * Calls {@linkcode close} when the process gets a signal to end: active jobs may finish within the deadline, the others are given back, and the
 * process ends when nothing else keeps it alive. A second signal ends it at once.
 *
 * @throws {TypeError | RangeError} If an option is unknown or wrong.
 *
 * @example A worker that ends in order
 * ```ts
 * import { closeOnSignals, jobQueue } from "@supercheck/jetstream";
 *
 * jobQueue<string>("greetings").consume((job) => {
 *   console.log(`Hello ${job.data}`);
 * });
 * closeOnSignals({ deadline: 20_000 });
 * ```
 *
 * @category Connection
 */
export const closeOnSignals = (options?: CloseOnSignalsOptions): void => stores.closeOnSignals(options);

/**
 * Keeps a health check's result for 30 seconds, in the object bucket `supercheck`.
 *
 * @param url The checked URL: any non-empty text.
 * @returns What was stored; `null` if it is not confirmed: no connection, or no answer within the deadline.
 * @throws {TypeError | RangeError} If an argument is no text, is empty or too long.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example Store a result
 * ```ts
 * import { close, storeHealthcheck } from "@supercheck/jetstream";
 *
 * const url = "https://example.com/health";
 * const info = await storeHealthcheck(url, JSON.stringify({ status: 200 }));
 * console.log(info?.size); // 14
 * await close();
 * ```
 *
 * @category Health checks and values
 */
export const storeHealthcheck = (url: string, json: string): Promise<ObjectInfo | null> =>
  stores.storeHealthcheck(url, json);

/**
 * The result of a health check, or `null`: there is none of the last 30 seconds, or no connection.
 *
 * @throws {TypeError | RangeError} If the URL is no text, is empty or too long.
 * @throws {JetStreamStoreError} If the server refuses for good, or the stored result is damaged.
 *
 * @example The newest result
 * ```ts
 * import { close, loadHealthcheck } from "@supercheck/jetstream";
 *
 * const json = await loadHealthcheck("https://example.com/health");
 * console.log(json === null ? "unknown" : JSON.parse(json).status);
 * await close();
 * ```
 *
 * @category Health checks and values
 */
export const loadHealthcheck = (url: string): Promise<string | null> => stores.loadHealthcheck(url);

/**
 * Keeps a value under a key in the bucket `supercheck_kv`, for `SUPERCHECK_NATS_KV_TTL_SECS` seconds (a day if unset).
 *
 * @param key Any non-empty text; URLs are fine.
 * @returns The revision; `null` if it is not confirmed: no connection, or no answer within the deadline.
 * @throws {TypeError | RangeError} If an argument is wrong, or the variable is malformed.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example Store, load and delete
 * ```ts
 * import { close, deleteKV, loadKV, storeKV } from "@supercheck/jetstream";
 *
 * await storeKV("https://example.com/", "up");
 * const entry = await loadKV("https://example.com/");
 * console.log(entry?.val);
 * const deleted = await deleteKV("https://example.com/");
 * console.log(deleted ?? "not confirmed"); // true
 * await close();
 * ```
 *
 * @category Health checks and values
 */
export const storeKV = (key: string, value: string, options?: KvWriteOptions): Promise<number | null> =>
  stores.storeKV(key, value, options);

/**
 * The value of a key, or `null`: it was never stored, is deleted or expired, or there is no connection.
 *
 * @throws {TypeError | RangeError} If the key is no text, is empty or too long.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example Load
 * ```ts
 * import { close, loadKV } from "@supercheck/jetstream";
 *
 * const { val = "unknown" } = await loadKV("https://example.com/") ?? {};
 * console.log(val);
 * await close();
 * ```
 *
 * @category Health checks and values
 */
export const loadKV = (key: string): Promise<KeyAndValue | null> => stores.loadKV(key);

/**
 * Deletes a key.
 *
 * @returns `true`, also if there was none; `null` if it is not confirmed.
 * @throws {TypeError | RangeError} If the key is no text, is empty or too long.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example Delete
 * ```ts
 * import { close, deleteKV } from "@supercheck/jetstream";
 *
 * const deleted = await deleteKV("https://example.com/");
 * console.log(deleted ?? "not confirmed");
 * await close();
 * ```
 *
 * @category Health checks and values
 */
export const deleteKV = (key: string): Promise<true | null> => stores.deleteKV(key);

/**
 * An object bucket, made at once, and cheap to keep; {@linkcode ObjectBucket} shows what to do with it.
 *
 * @throws {TypeError | RangeError} If the name or an option is wrong.
 *
 * @example Objects of a day
 * ```ts
 * import { close, objectBucket } from "@supercheck/jetstream";
 *
 * const reports = objectBucket("reports", { ttl: 86_400_000 });
 * await reports.put("today.txt", "all up");
 * await close();
 * ```
 *
 * @category Buckets
 */
export const objectBucket = (name: string, options?: ObjectBucketOptions): ObjectBucket =>
  stores.objectBucket(name, options);

/**
 * A key-value bucket, made at once, and cheap to keep; {@linkcode KvBucket} shows what to do with it.
 *
 * @throws {TypeError | RangeError} If the name or an option is wrong.
 *
 * @example Values of an hour
 * ```ts
 * import { close, kvBucket } from "@supercheck/jetstream";
 *
 * const sessions = kvBucket("sessions", { ttl: 3_600_000 });
 * await sessions.put("ann", JSON.stringify({ theme: "dark" }));
 * await close();
 * ```
 *
 * @category Buckets
 */
export const kvBucket = (name: string, options?: KvBucketOptions): KvBucket => stores.kvBucket(name, options);
