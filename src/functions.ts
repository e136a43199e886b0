/**
 * The process-wide instance, and the functions that services import: each is the method of the same name of {@linkcode JetStreamStores}.
 * @module
 */
import type { ConnectOptions } from "./connection/connect_options.ts";
import type { CloseOnSignalsOptions, CloseOptions } from "./connection/close_on_signals.ts";
import type { ConnectionCounters, ConnectionInfo, ConnectionStatus } from "./connection/connection_info.ts";
import type { KvBucket } from "./kv/kv_bucket.ts";
import type { KvBucketOptions } from "./kv/kv_options.ts";
import type { KvWriteOptions } from "./kv/kv_write.ts";
import type { ObjectBucket } from "./object/object_bucket.ts";
import type { ObjectInfo } from "./object/object_info.ts";
import type { ObjectBucketOptions } from "./object/object_options.ts";
import type { ConsumeOptions } from "./queue/work/consume_options.ts";
import type { Job } from "./queue/work/job.ts";
import type { JobConsumer } from "./queue/work/job_consumer.ts";
import type { JobQueue } from "./queue/job_queue.ts";
import type { JobReceipt } from "./queue/publish/publish_job.ts";
import type { PublishManyOptions } from "./queue/publish/publish_many.ts";
import type { PublishOptions } from "./queue/publish/publish_options.ts";
import type { QueueOptions } from "./queue/store/queue_options.ts";
import { JetStreamStores, type KeyAndValue } from "./stores.ts";

/** The instance behind the functions of this module. */
export const processStores: JetStreamStores = new JetStreamStores();

const stores = processStores;

/**
 * Connects, if there is no connection yet, and waits for the first attempt. Nobody has to call it: the first use of any function connects to
 * `SUPERCHECK_NATS_URL`. Concurrent calls share one attempt.
 *
 * @returns The server, or `null`: none is configured, or it is away, in which case the library keeps trying.
 * @throws {TypeError | RangeError} If an option is wrong, or a variable that tells where and how to connect.
 * @throws {JetStreamStoreError} If credentials or TLS were refused, or the runtime does not allow the connection; the library keeps trying.
 *
 * @example Say at the start whether NATS is there
 * ```ts
 * import { connect } from "@supercheck/jetstream";
 *
 * const server = await connect();
 * console.log(server ? `NATS ${server.version}` : "without NATS for now");
 * ```
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
 */
export const connectionStatus = (): ConnectionStatus => stores.connectionStatus();

/** How many calls were `null` for want of NATS, and how often the connection came and went. */
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
 */
export const close = (options?: CloseOptions): Promise<void> => stores.close(options);

/**
 * Calls {@linkcode close} when the process is told to end: running jobs may finish within the deadline, what has not started is given back, and the
 * process ends when nothing else keeps it alive. A second signal ends it at once.
 *
 * @throws {TypeError | RangeError} If an option is unknown or wrong.
 *
 * @example A worker that ends in order
 * ```ts
 * import { closeOnSignals, jobQueue } from "@supercheck/jetstream";
 *
 * jobQueue<string>("greetings").consume((job) => console.log(`Hello ${job.data}`));
 * closeOnSignals({ deadline: 20_000 });
 * ```
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
 * @example Store and load
 * ```ts
 * import { loadHealthcheck, storeHealthcheck } from "@supercheck/jetstream";
 *
 * await storeHealthcheck("https://example.com/health", JSON.stringify({ status: 200 }));
 * console.log(await loadHealthcheck("https://example.com/health"));
 * ```
 */
export const storeHealthcheck = (url: string, json: string): Promise<ObjectInfo | null> =>
  stores.storeHealthcheck(url, json);

/**
 * The result of a health check, or `null`: there is none of the last 30 seconds, or no connection.
 *
 * @throws {TypeError | RangeError} If the URL is no text, is empty or too long.
 * @throws {JetStreamStoreError} If the server refuses for good, or the stored result is damaged.
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
 * import { deleteKV, loadKV, storeKV } from "@supercheck/jetstream";
 *
 * await storeKV("https://example.com/", "up");
 * const entry = await loadKV("https://example.com/");
 * console.log(entry?.val);
 * if (await deleteKV("https://example.com/") === null) console.error("not confirmed");
 * ```
 */
export const storeKV = (key: string, value: string, options?: KvWriteOptions): Promise<number | null> =>
  stores.storeKV(key, value, options);

/**
 * The value of a key, or `null`: it was never stored, is deleted or expired, or there is no connection.
 *
 * @throws {TypeError | RangeError} If the key is no text, is empty or too long.
 * @throws {JetStreamStoreError} If the server refuses for good.
 */
export const loadKV = (key: string): Promise<KeyAndValue | null> => stores.loadKV(key);

/**
 * Deletes a key.
 *
 * @returns `true`, also if there was none; `null` if it is not confirmed.
 * @throws {TypeError | RangeError} If the key is no text, is empty or too long.
 * @throws {JetStreamStoreError} If the server refuses for good.
 */
export const deleteKV = (key: string): Promise<true | null> => stores.deleteKV(key);

/**
 * Adds one job to a queue.
 *
 * @returns The server's receipt, with `duplicate: true` if a job of this id was there already; `null` if it is not confirmed. Repeating it
 * is safe with an `id` while the job is pending, or with a `requestId`.
 * @throws {TypeError | RangeError} If the data is no JSON value, or an argument is wrong.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example One check per URL, in a minute
 * ```ts
 * import { publishJob } from "@supercheck/jetstream";
 *
 * const url = "https://example.com/health";
 * const receipt = await publishJob("checks", { url }, { id: url, delay: 60_000 });
 * console.log(receipt?.duplicate ? "waits already" : receipt?.id);
 * ```
 */
export const publishJob = <T>(queue: string, data: T, options?: PublishOptions): Promise<JobReceipt | null> =>
  stores.publishJob(queue, data, options);

/**
 * Adds many jobs to a queue.
 *
 * @param options `atomic`: in batches of up to 1000, each stored as a whole or not at all; none is sent after one that the server refuses.
 * @returns A receipt for each, in their order; `null` in the list: this one is not confirmed. `null` without a connection.
 * @throws {TypeError | RangeError} If one of them is wrong; none is stored then.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example Two at once
 * ```ts
 * import { publishJobs } from "@supercheck/jetstream";
 *
 * const receipts = await publishJobs("mails", [{ data: { to: "ann" } }, { data: { to: "bob" }, priority: "high" }]);
 * console.log(receipts?.filter((receipt) => receipt !== null).length);
 * ```
 */
export const publishJobs = <T>(
  queue: string,
  jobs: readonly (PublishOptions & { /** What the job is about. */ data: T })[],
  options?: PublishManyOptions,
): Promise<(JobReceipt | null)[] | null> => stores.publishJobs(queue, jobs, options);

/**
 * Runs `handler` for each job of a queue, and goes on after each reconnect until it is stopped; until then it also keeps the process alive. A
 * handler that returns has done its job; one that throws is tried again later, up to `maxAttempts`; then the job is a dead letter.
 *
 * @returns The consumer; `null` if there is no connection now: {@linkcode jobQueue}`(queue).consume()` starts by itself when there is one.
 * @throws {TypeError | RangeError} If an argument is wrong.
 * @throws {JetStreamStoreError} If the server refuses for good.
 *
 * @example Ten at a time
 * ```ts
 * import { closeOnSignals, consumeJobs } from "@supercheck/jetstream";
 *
 * const consumer = await consumeJobs<{ url: string }>("checks", async (job) => {
 *   const response = await fetch(job.data.url, { signal: job.signal });
 *   await response.body?.cancel();
 * }, { concurrency: 10 });
 * console.log(consumer?.status().state);
 *
 * // The worker keeps the process alive until SIGTERM or Ctrl-C.
 * closeOnSignals();
 * ```
 */
export const consumeJobs = <T>(
  queue: string,
  handler: (job: Job<T>) => unknown,
  options?: ConsumeOptions,
): Promise<JobConsumer<T> | null> => stores.consumeJobs(queue, handler, options);

/**
 * An object bucket, made at once, and cheap to keep; {@linkcode ObjectBucket} shows what to do with it.
 *
 * @throws {TypeError | RangeError} If the name or an option is wrong.
 */
export const objectBucket = (name: string, options?: ObjectBucketOptions): ObjectBucket =>
  stores.objectBucket(name, options);

/**
 * A key-value bucket, made at once, and cheap to keep; {@linkcode KvBucket} shows what to do with it.
 *
 * @throws {TypeError | RangeError} If the name or an option is wrong.
 */
export const kvBucket = (name: string, options?: KvBucketOptions): KvBucket => stores.kvBucket(name, options);

/**
 * A queue of jobs: made at once, and cheap to keep. Its consumers start by themselves as soon as there is a connection.
 *
 * @throws {TypeError | RangeError} If the name or an option is wrong.
 *
 * @example Typed jobs
 * ```ts
 * import { closeOnSignals, jobQueue } from "@supercheck/jetstream";
 *
 * const mails = jobQueue<{ to: string }>("mails");
 * mails.consume((job) => console.log(job.data.to));
 * await mails.publish({ to: "ann" });
 * closeOnSignals();
 * ```
 */
export const jobQueue = <Out = unknown, In = Out>(name: string, options?: QueueOptions<Out, In>): JobQueue<Out, In> =>
  stores.jobQueue(name, options);
