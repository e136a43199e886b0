import { Connection } from "../../src/connection/connection.ts";
import { KvBucket } from "../../src/kv/kv_bucket.ts";
import type { KvBucketOptions } from "../../src/kv/kv_options.ts";
import { Settings } from "../../src/settings.ts";
import { api } from "../../src/wire/api.ts";
import type { Context } from "../../src/wire/context.ts";
import { headerBlock } from "../../src/wire/headers.ts";
import { type PubAck, publish } from "../../src/wire/publish.ts";
import { Session } from "../../src/wire/session.ts";
import type { StreamConfig, StreamInfo } from "../../src/wire/streams.ts";

/** Stores whose log can be read, and whose server's API can be called directly. */
export class KvStores implements AsyncDisposable {
  readonly log: string[] = [];
  readonly context: Context;

  constructor(options: { servers?: string | string[]; timeout?: number; env?: Record<string, string> } = {}) {
    const { timeout = 5_000, servers, env = {} } = options;
    const settings = new Settings((name) => env[name]);
    const take = (message: string) => void this.log.push(message);
    const logger = { info: take, warn: take, error: take };
    const connection = new Connection(settings, logger, servers ? { servers } : {}, (nc) => new Session(nc));
    this.context = { connection, settings, logger, timeout, closers: new Set() };
  }

  kvBucket(name: string, options?: KvBucketOptions): KvBucket {
    return new KvBucket(this.context, name, options);
  }

  /** Calls `$JS.API.<call>`. */
  async api<T = Record<string, unknown>>(call: string, body?: unknown): Promise<T> {
    const answer = await this.context.connection.attempt(
      (session, deadline) => api<T>(session, call, body, deadline),
      { timeout: 5_000, persist: true },
    );
    if (answer === null) throw new Error(`No answer to ${call}`);
    return answer;
  }

  /** Makes a stream as another client would. */
  async createStream(config: StreamConfig & Record<string, unknown>): Promise<StreamConfig> {
    return ownConfig(await this.api<StreamInfo>(`STREAM.CREATE.${config.name}`, config));
  }

  /** The configuration of the stream under a bucket. */
  async config(bucket: string): Promise<StreamConfig> {
    return ownConfig(await this.api<StreamInfo>(`STREAM.INFO.KV_${bucket}`));
  }

  /** Names of the consumers of the stream under a bucket. */
  async consumers(bucket: string): Promise<string[]> {
    return (await this.api<{ consumers: string[] | null }>(`CONSUMER.NAMES.KV_${bucket}`)).consumers ?? [];
  }

  /** Stores a message as another client would. */
  async publish(subject: string, payload: string, headers: Record<string, string> = {}): Promise<PubAck> {
    const ack = await this.context.connection.attempt(
      (session, deadline) => publish(session, subject, payload, deadline, headerBlock(headers)),
      { timeout: 5_000, persist: true },
    );
    if (ack === null) throw new Error(`${subject} is not stored`);
    return ack;
  }

  /** Listens to a subject over the present connection; returns what ends it. */
  async listen(subject: string, heard: (subject: string) => void): Promise<() => void> {
    const session = await this.context.connection.attempt((session) => Promise.resolve(session), { timeout: 5_000 });
    if (session === null) throw new Error("No connection");
    const { stop } = session.subscribe(subject, (message) => heard(message.subject), (error) => {
      throw error;
    });
    return stop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.context.closers].map((close) => close(1_000)));
    await this.context.connection.close(5_000);
  }
}

/** A configuration without the labels of the server's own. */
function ownConfig({ config }: StreamInfo): StreamConfig {
  const labels = Object.entries(config.metadata ?? {}).filter(([name]) => !name.startsWith("_nats."));
  return { ...config, metadata: Object.fromEntries(labels) };
}
