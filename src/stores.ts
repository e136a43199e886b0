import type { NatsConnection } from "@nats-io/nats-core";
import { checkDuration, checkFunction, checkText, wrongType } from "./checks.ts";
import { checkOptions, type OptionNames } from "./options.ts";
import { CONNECT_OPTIONS, type ConnectOptions } from "./connection/connect_options.ts";
import {
  closeDeadline,
  type CloseOnSignalsOptions,
  type CloseOptions,
  ClosingSignals,
} from "./connection/close_on_signals.ts";
import { Connection } from "./connection/connection.ts";
import type { ConnectionCounters, ConnectionInfo, ConnectionStatus } from "./connection/connection_info.ts";
import { settledWithin } from "./delay.ts";
import { consoleLogger, guardedLogger, type Logger } from "./connection/logger.ts";
import { KvBucket } from "./kv/kv_bucket.ts";
import type { KvBucketOptions } from "./kv/kv_options.ts";
import type { KvWriteOptions } from "./kv/kv_write.ts";
import { ObjectBucket } from "./object/object_bucket.ts";
import type { ObjectInfo } from "./object/format/object_info.ts";
import type { ObjectBucketOptions } from "./object/object_options.ts";
import { type ConsumeOptions, consumeSettings } from "./queue/work/consume_options.ts";
import type { Job } from "./queue/work/job.ts";
import type { JobConsumer } from "./queue/work/job_consumer.ts";
import { callersRuns, outsideHandlers } from "./queue/work/handler_scope.ts";
import type { JobQueue } from "./queue/job_queue.ts";
import { QueueHandle } from "./queue/queue_handle.ts";
import type { JobReceipt } from "./queue/publish/job_receipt.ts";
import type { PublishManyOptions } from "./queue/publish/publish_many.ts";
import type { PublishOptions } from "./queue/publish/publish_options.ts";
import type { QueueOptions } from "./queue/store/queue_options.ts";
import { rejecting } from "./rejecting.ts";
import { type ReadVariable, Settings } from "./settings.ts";
import { Telemetry } from "./telemetry/telemetry.ts";
import type { Closer, Context } from "./wire/context.ts";
import { ControlLine } from "./wire/requests/control_line.ts";
import { Session } from "./wire/session.ts";
import { SharedState } from "./wire/shared_state.ts";
import { streamNames } from "./wire/stream_names.ts";
import { isName } from "./wire/tokens.ts";

/**
 * Options of {@linkcode JetStreamStores}: where to connect, and what its calls have in common.
 *
 * @category Stores
 */
export interface StoresOptions extends ConnectOptions {
  /**
   * Call timeout in milliseconds; a call may settle up to 50 ms late.
   *
   * @default {5_000}
   */
  timeout?: number;
  /**
   * Gets one line for each change of the connection's state; `false`: nothing is logged. An error that it throws is ignored.
   *
   * @default {console, on standard error}
   */
  logger?: Logger | false;
  /**
   * Looks up the `SUPERCHECK_NATS_*` variables.
   *
   * @default {the environment of the process}
   */
  env?: ReadVariable;
}

/**
 * A key with its value, as {@linkcode JetStreamStores.loadKV} gives them.
 *
 * @category Health checks and values
 */
export type KeyAndValue = { key: string; val: string };

const STORES_OPTIONS: OptionNames<StoresOptions> = { ...CONNECT_OPTIONS, timeout: true, logger: true, env: true };

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
 * await using north = new JetStreamStores({
 *   servers: "nats://127.0.0.1:1",
 *   user: "north",
 *   password: "…",
 * });
 * const plans = north.kvBucket("plans");
 * console.log(await plans.get("basic")); // null: no server listens on port 1
 * ```
 *
 * @category Stores
 */
export class JetStreamStores implements AsyncDisposable {
  readonly #connection: Connection<Session>;
  readonly #context: Context;
  readonly #signals = new ClosingSignals();
  readonly #queues: Map<string, JobQueue> = new Map();
  readonly #healthchecks: ObjectBucket;
  /** What reads and deletes; what writes goes by the TTL of the environment, too. */
  readonly #kv: KvBucket;
  #kvWrites: KvBucket | null = null;

  /**
   * Connects to nothing yet: the first call does.
   *
   * @throws {TypeError | RangeError} If an option is wrong.
   */
  constructor(options?: StoresOptions) {
    const doing = "make the stores";
    const checked = checkOptions(options, STORES_OPTIONS, doing);
    const { timeout = 5_000, logger: given = consoleLogger, env, ...connectOptions } = checked;
    checkDuration(timeout, doing, "timeout", 1);
    if (env !== undefined) checkFunction(env, doing, "env");
    const logger = guardedLogger(given);
    const [settings, line, telemetry] = [new Settings(env), new ControlLine(), new Telemetry()];
    const open = (nc: NatsConnection, apiPrefix?: string) => {
      const session = new Session(nc, logger, line, apiPrefix);
      telemetry.connected(session, nc.getServer());
      return session;
    };
    const connection = this.#connection = new Connection(settings, logger, connectOptions, open);
    const [closers, shared] = [new Set<Closer>(), new SharedState()];
    this.#context = { connection, settings, logger, telemetry, timeout, closers, shared };
    this.#healthchecks = this.objectBucket("supercheck", { ttl: 30_000 });
    this.#kv = this.kvBucket("supercheck_kv");
  }

  /** {@linkcode connect} of this instance. */
  async connect(options?: ConnectOptions): Promise<ConnectionInfo | null> {
    return await this.#connection.connect(options);
  }

  /** {@linkcode useConnection} of this instance. */
  useConnection(nc: unknown): void {
    this.#connection.use(nc);
  }

  /** {@linkcode connectionStatus} of this instance. */
  connectionStatus(): ConnectionStatus {
    return this.#connection.status;
  }

  /** The server it is connected to, or `null`. */
  connectionInfo(): ConnectionInfo | null {
    return this.#connection.info;
  }

  /** {@linkcode connectionCounters} of this instance. */
  connectionCounters(): ConnectionCounters {
    return this.#connection.counters;
  }

  /** {@linkcode close} of this instance. */
  async close(options?: CloseOptions): Promise<void> {
    const until = performance.now() + closeDeadline(options);
    this.#signals.stop();
    const closing = outsideHandlers(() => this.#close(until));
    // A handler's own run can be reported only behind this, and as long as there is a connection.
    await (callersRuns(this.#context).length === 0 ? closing : this.#stopAll(until));
  }

  /** {@linkcode closeOnSignals} of this instance. */
  closeOnSignals(options?: CloseOnSignalsOptions): void {
    this.#signals.listen(options, (deadline) => this.close({ deadline }));
  }

  async #close(until: number): Promise<void> {
    await this.#stopAll(until);
    await this.#connection.close(Math.max(0, until - performance.now()));
    // A watch that was just beginning had not been there to be stopped.
    await this.#stopAll(until);
  }

  async #stopAll(until: number): Promise<void> {
    const left = () => Math.max(0, until - performance.now());
    await settledWithin(Promise.allSettled([...this.#context.closers].map((close) => close(left()))), left());
  }

  /** Closes it with the default deadline. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** {@linkcode objectBucket} of this instance. */
  objectBucket(name: string, options?: ObjectBucketOptions): ObjectBucket {
    return new ObjectBucket(this.#context, name, options);
  }

  /** {@linkcode kvBucket} of this instance. */
  kvBucket(name: string, options?: KvBucketOptions): KvBucket {
    return new KvBucket(this.#context, name, options);
  }

  /** {@linkcode jobQueue} of this instance. */
  jobQueue<Out = unknown, In = Out>(name: string, options?: QueueOptions<Out, In>): JobQueue<Out, In> {
    return new QueueHandle<Out, In>(this.#context, name, options);
  }

  /** The names of the object buckets that there are. Iterating throws a {@linkcode JetStreamStoreError} (`disconnected`) without a connection. */
  objectBuckets(): AsyncIterable<string> {
    return this.#names("OBJ_", "The object buckets", "$O.>");
  }

  /**
   * The names of the key-value buckets that there are; results of queues stand in buckets `wq_…`. Iterating throws a
   * {@linkcode JetStreamStoreError} (`disconnected`) without a connection.
   */
  kvBuckets(): AsyncIterable<string> {
    return this.#names("KV_", "The key-value buckets", "$KV.>");
  }

  /** The names of the queues that there are. Iterating throws a {@linkcode JetStreamStoreError} (`disconnected`) without a connection. */
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

  /** {@linkcode storeHealthcheck} of this instance. */
  async storeHealthcheck(url: string, json: string): Promise<ObjectInfo | null> {
    checkText(url, "store the health check", "url");
    if (typeof json !== "string") throw wrongType("store the health check as 'json' must be a string", json);
    return await this.#healthchecks.put(url, json);
  }

  /** {@linkcode loadHealthcheck} of this instance. */
  loadHealthcheck(url: string): Promise<string | null> {
    return rejecting(() => {
      checkText(url, "load the health check", "url");
      return this.#healthchecks.getText(url);
    });
  }

  /** {@linkcode storeKV} of this instance. */
  storeKV(key: string, value: string, options?: KvWriteOptions): Promise<number | null> {
    return rejecting(() => {
      checkText(key, "store the value", "key");
      if (typeof value !== "string") throw wrongType("store the value as 'value' must be a string", value);
      this.#kvWrites ??= this.kvBucket("supercheck_kv", { ttl: this.#context.settings.kvTtl() });
      return this.#kvWrites.put(key, value, options);
    });
  }

  /** {@linkcode loadKV} of this instance. */
  loadKV(key: string): Promise<KeyAndValue | null> {
    return rejecting(() => {
      checkText(key, "load the value", "key");
      return this.#kv.get(key).then((entry) => entry === null ? null : { key, val: entry.text() });
    });
  }

  /** {@linkcode deleteKV} of this instance. */
  async deleteKV(key: string): Promise<true | null> {
    checkText(key, "delete the key", "key");
    return await this.#kv.delete(key);
  }

  /** {@linkcode publishJob} of this instance. */
  publishJob<T>(queue: string, data: T, options?: PublishOptions): Promise<JobReceipt | null> {
    return rejecting(() => this.#queue<T>(queue).publish(data, options));
  }

  /** {@linkcode publishJobs} of this instance. */
  async publishJobs<T>(
    queue: string,
    jobs: readonly (PublishOptions & { /** What the job is about. */ data: T })[],
    options?: PublishManyOptions,
  ): Promise<(JobReceipt | null)[] | null> {
    return await this.#queue<T>(queue).publishMany(jobs, options);
  }

  /** {@linkcode consumeJobs} of this instance. */
  async consumeJobs<T>(
    queue: string,
    handler: (job: Job<T>) => unknown,
    options?: ConsumeOptions,
  ): Promise<JobConsumer<T> | null> {
    const jobs = this.#queue<T>(queue);
    consumeSettings(handler, options);
    return await jobs.open() ? jobs.consume(handler, options) : null;
  }

  /** The queues of the functions, each opened once. */
  #queue<T>(name: string): JobQueue<T> {
    const queue = this.#queues.get(name) ?? this.jobQueue(name);
    this.#queues.set(name, queue);
    return queue as JobQueue<T>;
  }
}
