import type { ConnectOptions } from "./connection/connect_options.ts";
import { Connection } from "./connection/connection.ts";
import type { ConnectionCounters, ConnectionInfo, ConnectionStatus } from "./connection/connection_info.ts";
import { settledWithin } from "./connection/delay.ts";
import { consoleLogger, type Logger } from "./connection/logger.ts";
import { KvBucket } from "./kv/kv_bucket.ts";
import type { KvBucketOptions } from "./kv/kv_options.ts";
import type { KvWriteOptions } from "./kv/kv_write.ts";
import { ObjectBucket } from "./object/object_bucket.ts";
import type { ObjectInfo } from "./object/object_info.ts";
import type { ObjectBucketOptions } from "./object/object_options.ts";
import { checkConsume, type ConsumeOptions } from "./queue/consume_options.ts";
import type { Job } from "./queue/job.ts";
import type { JobConsumer } from "./queue/job_consumer.ts";
import { JobQueue } from "./queue/job_queue.ts";
import type { JobReceipt } from "./queue/publish_job.ts";
import type { PublishManyOptions } from "./queue/publish_many.ts";
import type { PublishOptions } from "./queue/publish_options.ts";
import type { QueueOptions } from "./queue/queue_options.ts";
import { type ReadVariable, Settings } from "./settings.ts";
import type { Context } from "./wire/context.ts";
import { checkDuration } from "./wire/durations.ts";
import { Session } from "./wire/session.ts";
import { streamNames } from "./wire/stream_names.ts";
import { checkText, isName } from "./wire/tokens.ts";

/** Options of {@linkcode JetStreamStores}: where to connect, and what its calls have in common. */
export interface StoresOptions extends ConnectOptions {
  /**
   * Milliseconds that a call may take before it is `null`.
   *
   * @default {5_000}
   */
  timeout?: number;
  /**
   * Gets one line for each change of the connection's state.
   *
   * @default {console, on standard error}
   */
  logger?: Logger;
  /**
   * Looks up the `SUPERCHECK_NATS_*` variables.
   *
   * @default {the environment of the process}
   */
  env?: ReadVariable;
}

/** A key with its value, as {@linkcode JetStreamStores.loadKV} gives them. */
export type KeyAndValue = { key: string; val: string };

/** Options of {@linkcode JetStreamStores.close}. */
export interface CloseOptions {
  /**
   * Milliseconds that closing may take: running jobs may finish within it.
   *
   * @default {10_000}
   */
  deadline?: number;
}

/**
 * One connection and all that is opened over it: buckets and queues. The functions of this module are bound to one such instance; tests and
 * services with several tenants make their own.
 *
 * Without a connection its methods, and those of its handles, give `null`.
 *
 * @example Two tenants
 * ```ts
 * import { JetStreamStores } from "@supercheck/jetstream";
 *
 * await using north = new JetStreamStores({ servers: "nats://127.0.0.1:1", user: "north", password: "…" });
 * console.log(await north.kvBucket("plans").get("basic")); // null: nobody listens on port 1
 * ```
 */
export class JetStreamStores implements AsyncDisposable {
  readonly #connection: Connection<Session>;
  readonly #context: Context;
  readonly #queues: Map<string, JobQueue> = new Map();
  #healthchecks: ObjectBucket | null = null;
  /** What reads and deletes; what writes goes by the TTL of the environment, too. */
  #kv: KvBucket | null = null;
  #kvWrites: KvBucket | null = null;

  /**
   * Connects to nothing yet: the first call does.
   *
   * @throws {RangeError} If an option is out of its range.
   */
  constructor(options: StoresOptions = {}) {
    const { timeout = 5_000, logger = consoleLogger, env, ...connectOptions } = options;
    checkDuration(timeout, "make the stores", "timeout", 1);
    const settings = new Settings(env);
    this.#connection = new Connection(settings, logger, connectOptions, (nc) => new Session(nc, logger));
    this.#context = { connection: this.#connection, settings, logger, timeout, closers: new Set() };
  }

  /**
   * Connects, if there is no connection yet, and waits for the first attempt. Concurrent calls share it.
   *
   * @returns The server, or `null`: none is configured, or it is away, in which case the library keeps trying.
   * @throws {TypeError | RangeError} If an option is wrong.
   * @throws {JetStreamStoreError} If credentials or TLS were refused, or the runtime does not allow the connection; the library keeps trying.
   */
  async connect(options: ConnectOptions = {}): Promise<ConnectionInfo | null> {
    return await this.#connection.connect(options);
  }

  /**
   * Works over a connection that was made elsewhere: of any `@nats-io/*` transport, of nats.deno, or of `npm:nats` 2. It is never closed here.
   *
   * @throws {TypeError} If it is none of these, or is closed or draining.
   */
  useConnection(nc: unknown): void {
    this.#connection.use(nc);
  }

  /** Where the connection stands. */
  connectionStatus(): ConnectionStatus {
    return this.#connection.status;
  }

  /** The server it is connected to, or `null`. */
  connectionInfo(): ConnectionInfo | null {
    return this.#connection.info;
  }

  /** How many calls were `null` for want of NATS, and how often the connection came and went. */
  connectionCounters(): ConnectionCounters {
    return this.#connection.counters;
  }

  /**
   * Stops consumers, flushes and closes. Afterwards everything is `null` until `connect()` is called again.
   *
   * @throws {RangeError} If the deadline is negative.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { deadline = 10_000 } = options;
    checkDuration(deadline, "close the connection", "deadline", 0);
    const until = performance.now() + deadline;
    const left = () => Math.max(0, until - performance.now());
    const stopAll = () =>
      settledWithin(Promise.allSettled([...this.#context.closers].map((close) => close(left()))), left());
    await stopAll();
    await this.#connection.close(left());
    // A watch that was just beginning had not been there to be stopped.
    await stopAll();
  }

  /** Closes it with the default deadline. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * An object bucket.
   *
   * @throws {TypeError | RangeError} If the name or an option is wrong.
   */
  objectBucket(name: string, options?: ObjectBucketOptions): ObjectBucket {
    return new ObjectBucket(this.#context, name, options);
  }

  /**
   * A key-value bucket.
   *
   * @throws {TypeError | RangeError} If the name or an option is wrong.
   */
  kvBucket(name: string, options?: KvBucketOptions): KvBucket {
    return new KvBucket(this.#context, name, options);
  }

  /**
   * A queue of jobs.
   *
   * @throws {TypeError | RangeError} If the name or an option is wrong.
   */
  jobQueue<T = unknown>(name: string, options?: QueueOptions<T>): JobQueue<T> {
    return new JobQueue<T>(this.#context, name, options);
  }

  /**
   * The names of the object buckets that there are.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection.
   */
  objectBuckets(): AsyncIterable<string> {
    return this.#names("OBJ_", "The object buckets", "$O.>");
  }

  /**
   * The names of the key-value buckets that there are; results of queues stand in buckets `wq_…`.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection.
   */
  kvBuckets(): AsyncIterable<string> {
    return this.#names("KV_", "The key-value buckets", "$KV.>");
  }

  /**
   * The names of the queues that there are.
   *
   * @returns An iterable; iterating throws a `JetStreamStoreError` (`disconnected`) without a connection.
   */
  jobQueues(): AsyncIterable<string> {
    return this.#names("WQ_", "The queues", "wq.>");
  }

  async *#names(prefix: string, what: string, subject: string): AsyncGenerator<string, void> {
    for await (const stream of streamNames(this.#context, what, subject)) {
      const name = stream.slice(prefix.length);
      // Other clients' names that no handle here takes could not be opened.
      if (stream.startsWith(prefix) && isName(name)) yield name;
    }
  }

  /**
   * Keeps a health check's result for 30 seconds.
   *
   * @param url The checked URL: any non-empty text.
   * @param json The result.
   * @returns What was stored; `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If an argument is no text, is empty or too long.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  async storeHealthcheck(url: string, json: string): Promise<ObjectInfo | null> {
    checkText(url, "store the health check", "url");
    if (typeof json !== "string") {
      throw new TypeError(
        `Cannot store the health check as 'json' must be a string: current value is of type ${typeof json}`,
      );
    }
    this.#healthchecks ??= this.objectBucket("supercheck", { ttl: 30_000 });
    return await this.#healthchecks.put(url, json);
  }

  /**
   * The result of a health check, or `null`: there is none of the last 30 seconds, or no connection.
   *
   * @throws {TypeError | RangeError} If the URL is no text, is empty or too long.
   * @throws {JetStreamStoreError} If the server refuses for good, or the stored result is damaged.
   */
  async loadHealthcheck(url: string): Promise<string | null> {
    checkText(url, "load the health check", "url");
    this.#healthchecks ??= this.objectBucket("supercheck", { ttl: 30_000 });
    return await this.#healthchecks.getText(url);
  }

  /**
   * Keeps a value under a key, for `SUPERCHECK_NATS_KV_TTL_SECS` seconds (a day if unset).
   *
   * @returns The revision; `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If an argument is wrong, or the variable is malformed.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  async storeKV(key: string, value: string, options?: KvWriteOptions): Promise<number | null> {
    checkText(key, "store the value", "key");
    if (typeof value !== "string") {
      throw new TypeError(
        `Cannot store the value as 'value' must be a string: current value is of type ${typeof value}`,
      );
    }
    this.#kvWrites ??= this.kvBucket("supercheck_kv", { ttl: this.#context.settings.kvTtl() });
    return await this.#kvWrites.put(key, value, options);
  }

  /**
   * The value of a key, or `null`: it was never stored, is deleted or expired, or there is no connection.
   *
   * @throws {TypeError | RangeError} If the key is no text, is empty or too long.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  async loadKV(key: string): Promise<KeyAndValue | null> {
    checkText(key, "load the value", "key");
    this.#kv ??= this.kvBucket("supercheck_kv");
    const entry = await this.#kv.get(key);
    return entry === null ? null : { key, val: entry.text() };
  }

  /**
   * Deletes a key.
   *
   * @returns `true`, also if there was none; `null` if it is not confirmed.
   * @throws {TypeError | RangeError} If the key is no text, is empty or too long.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  async deleteKV(key: string): Promise<true | null> {
    checkText(key, "delete the key", "key");
    this.#kv ??= this.kvBucket("supercheck_kv");
    return await this.#kv.delete(key);
  }

  /** Adds one job: {@linkcode JobQueue.publish}. */
  async publishJob<T>(queue: string, data: T, options?: PublishOptions): Promise<JobReceipt | null> {
    return await this.#queue<T>(queue).publish(data, options);
  }

  /** Adds many jobs: {@linkcode JobQueue.publishMany}. */
  async publishJobs<T>(
    queue: string,
    jobs: readonly (PublishOptions & { /** What the job is about. */ data: T })[],
    options?: PublishManyOptions,
  ): Promise<(JobReceipt | null)[] | null> {
    return await this.#queue<T>(queue).publishMany(jobs, options);
  }

  /** Runs `handler` for each job: {@linkcode JobQueue.consume}; but `null` if there is no connection now. */
  async consumeJobs<T>(
    queue: string,
    handler: (job: Job<T>) => unknown,
    options?: ConsumeOptions,
  ): Promise<JobConsumer<T> | null> {
    const jobs = this.#queue<T>(queue);
    checkConsume(handler, options);
    return await jobs.open() ? jobs.consume(handler, options) : null;
  }

  /** The queues of the functions, each opened once. */
  #queue<T>(name: string): JobQueue<T> {
    let queue = this.#queues.get(name);
    if (!queue) {
      queue = this.jobQueue(name);
      this.#queues.set(name, queue);
    }
    return queue as JobQueue<T>;
  }
}
