import { connect, type NatsConnection } from "@nats-io/transport-node";
import { headers as emptyHeaders } from "@nats-io/nats-core";
import { JetStreamStores } from "../../src/stores.ts";
import { keptLines } from "./kept_lines.ts";
import { TIMEOUT_MS } from "./open_stores.ts";
import type { StreamConfig, StreamInfo } from "../../src/wire/streams.ts";

/** Options of {@linkcode KvStores}. */
export interface KvStoresOptions {
  servers?: string | string[];
  timeout?: number;
  env?: Record<string, string>;
}

/** Stores whose log can be read, with a connection beside them that does what other clients and administrators do. */
export class KvStores extends JetStreamStores {
  /** What the stores logged. */
  readonly log: string[];
  readonly #servers: string | string[] | undefined;
  #admin: Promise<NatsConnection> | null = null;

  constructor(options: KvStoresOptions = {}) {
    const { servers, timeout = TIMEOUT_MS, env = {} } = options;
    const { lines, logger } = keptLines();
    super({
      ...(servers && { servers }),
      timeout,
      connectTimeout: TIMEOUT_MS,
      env: (name) => env[name],
      logger,
    });
    this.log = lines;
    this.#servers = servers;
  }

  /** Calls `$JS.API.<call>`; throws what the server refuses. */
  async api<T = Record<string, unknown>>(call: string, body?: unknown): Promise<T> {
    return await this.#request<T>(`$JS.API.${call}`, body === undefined ? "" : JSON.stringify(body));
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

  /** Stores a message as another client would; its sequence. */
  async publish(subject: string, payload: string, headers: Record<string, string> = {}): Promise<number> {
    return (await this.#request<{ seq: number }>(subject, payload, headers)).seq;
  }

  /** Listens to a subject; returns what ends it. */
  async listen(subject: string, heard: (subject: string) => void): Promise<() => void> {
    const nc = await this.#connection();
    const subscription = nc.subscribe(subject, { callback: (_error, message) => heard(message.subject) });
    await nc.flush();
    return () => subscription.unsubscribe();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await (await this.#admin)?.close();
  }

  #connection(): Promise<NatsConnection> {
    return this.#admin ??= connect({ servers: this.#servers, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  }

  async #request<T>(subject: string, payload: string, pairs: Record<string, string> = {}): Promise<T> {
    const headers = emptyHeaders();
    for (const [name, value] of Object.entries(pairs)) headers.set(name, value);
    const reply = await (await this.#connection()).request(subject, payload, { timeout: 15_000, headers });
    const answer = reply.json<T & { error?: { description: string } }>();
    if (answer.error) throw new Error(`${subject}: ${answer.error.description}`);
    return answer;
  }
}

/** A configuration without the labels of the server's own. */
function ownConfig({ config }: StreamInfo): StreamConfig {
  const labels = Object.entries(config.metadata ?? {}).filter(([name]) => !name.startsWith("_nats."));
  return { ...config, metadata: Object.fromEntries(labels) };
}
