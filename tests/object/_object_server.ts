import { Buffer } from "node:buffer";
import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { assertEquals } from "@std/assert";
import type { ObjectBucket } from "../../src/object/object_bucket.ts";
import type { ObjectBucketOptions } from "../../src/object/object_options.ts";
import { JetStreamStores, type StoresOptions } from "../../src/stores.ts";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../../src/testing/mod.ts";
import { keptLines } from "../_support/kept_lines.ts";
import { PATIENT } from "../_support/open_stores.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** What the stream under a bucket keeps, as the server tells it. */
export interface Contents {
  /** Consumers that are left. */
  consumers: number;
  /** Records by name, those of links and deleted objects among them. */
  records: Map<string, Record<string, unknown>>;
  /** Versions of which there are chunks, but no info. */
  orphans: string[];
  /** Names of objects of which chunks are missing. */
  incomplete: string[];
}

/** Stores that tell nobody of their connection. */
class Stores extends JetStreamStores {
  constructor(servers: string | string[], options: StoresOptions = {}) {
    super({ servers, logger: false, ...PATIENT, ...options });
  }
}

/** A private server, stores over it, and a connection of another client to look at what the stores have left there. */
export class ObjectServer implements AsyncDisposable {
  static readonly Stores = Stores;
  readonly server: NatsServer;
  readonly stores: JetStreamStores;
  /** The official client's connection. */
  readonly nc: NatsConnection;
  /** What the stores have told their logger. */
  readonly log: string[];

  private constructor(server: NatsServer, nc: NatsConnection, options: StoresOptions) {
    this.server = server;
    this.nc = nc;
    const { lines, logger } = keptLines();
    this.log = lines;
    this.stores = new JetStreamStores({ servers: server.url, logger, ...PATIENT, ...options });
  }

  static async start(server: NatsServerOptions = {}, stores: StoresOptions = {}): Promise<ObjectServer> {
    return await ObjectServer.over(await startNatsServer(server), stores);
  }

  /** Over a server that is started already, to be disposed with it. */
  static async over(server: NatsServer, stores: StoresOptions = {}): Promise<ObjectServer> {
    return new ObjectServer(server, await connect({ servers: server.url, noAsyncTraces: true }), stores);
  }

  bucket(name: string, options?: ObjectBucketOptions): ObjectBucket {
    return this.stores.objectBucket(name, options);
  }

  /** Calls `$JS.API.<call>`, again while nobody answers: between two leaders nobody does. */
  async api<T = Record<string, unknown>>(call: string, body?: unknown): Promise<T> {
    const payload = body === undefined ? "" : JSON.stringify(body);
    const ask = () => this.nc.request(`$JS.API.${call}`, payload, { timeout: 5_000 });
    const reply = await ask().catch(ask).catch(ask);
    const answer = reply.json<T & { error?: { description: string } }>();
    if (answer.error) throw new Error(`${call}: ${answer.error.description}`);
    return answer;
  }

  /** The configuration of the stream under a bucket, without the labels of the server's own. */
  async config(bucket: string): Promise<Record<string, unknown>> {
    const { config } = await this.api<{ config: Record<string, unknown> }>(`STREAM.INFO.OBJ_${bucket}`);
    const labels = Object.entries(config.metadata ?? {}).filter(([label]) => !label.startsWith("_nats."));
    return { ...config, metadata: Object.fromEntries(labels) };
  }

  /** What the stream under a bucket keeps. */
  async contents(bucket: string): Promise<Contents> {
    const { state } = await this.api<
      { state: { consumer_count: number; subjects?: Record<string, number> } }
    >(`STREAM.INFO.OBJ_${bucket}`, { subjects_filter: ">" });
    const records = new Map<string, Record<string, unknown>>();
    const chunkCounts = new Map<string, number>();
    for (const [subject, count] of Object.entries(state.subjects ?? {})) {
      if (subject.startsWith(`$O.${bucket}.C.`)) chunkCounts.set(subject.slice(`$O.${bucket}.C.`.length), count);
      else {
        const record = await this.record(bucket, subject);
        if (record) records.set(record.name as string, record);
      }
    }
    const incomplete: string[] = [];
    for (const [name, { nuid, chunks, deleted, options }] of records) {
      const isObject = !deleted && !(options as { link?: unknown } | undefined)?.link;
      if (isObject && (chunkCounts.get(nuid as string) ?? 0) !== chunks) incomplete.push(name);
      if (isObject) chunkCounts.delete(nuid as string);
    }
    return { consumers: state.consumer_count, records, orphans: [...chunkCounts.keys()], incomplete };
  }

  /**
   * Checks that the stores have left nothing behind, and nothing half.
   *
   * @param others Whether another client may have left consumers.
   */
  async assertClean(bucket: string, others = false): Promise<void> {
    // Old chunks are removed off the callers' path.
    await waitUntil(async () => (await this.contents(bucket)).orphans.length === 0).catch(() => {});
    const { consumers, orphans, incomplete } = await this.contents(bucket);
    assertEquals({ orphans, incomplete }, { orphans: [], incomplete: [] });
    if (!others) assertEquals(consumers, 0);
  }

  /** The newest info on a subject, `undefined` if it has gone. */
  async record(bucket: string, subject: string): Promise<Record<string, unknown> | undefined> {
    const reply = await this.nc.request(
      `$JS.API.STREAM.MSG.GET.OBJ_${bucket}`,
      JSON.stringify({ last_by_subj: subject }),
      { timeout: 10_000 },
    );
    const { message } = reply.json<{ message?: { data: string } }>();
    return message && JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(message.data), (c) => c.charCodeAt(0))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stores.close();
    await this.nc.close();
    await this.server[Symbol.asyncDispose]();
  }
}

/** Bytes that look like none else. */
export function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let start = 0; start < size; start += 65_536) crypto.getRandomValues(bytes.subarray(start, start + 65_536));
  return bytes;
}

/** Checks bytes, and tells of the first difference only. */
export function assertBytes(actual: Uint8Array | null, expected: Uint8Array): void {
  assertEquals(actual?.length, expected.length);
  assertEquals(Buffer.compare(actual!, expected), 0, "The bytes differ");
}
