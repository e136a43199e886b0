import {
  AckPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  RetentionPolicy,
} from "@nats-io/jetstream";
import { type KvEntry, Kvm } from "@nats-io/kv";
import { nanos, type NatsConnection, nuid } from "@nats-io/nats-core";
import { Objm, setSha256Backend } from "@nats-io/obj";
import { connect } from "@nats-io/transport-node";
import type { QueuePeer, Work } from "./_queue_peer.ts";
import type { StorePeer } from "./_store_peer.ts";

const STREAM = "nats_io";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Connects the official client, by the option that makes it fastest. */
export function connectNatsIo(url: string): Promise<NatsConnection> {
  return connect({ servers: url, noAsyncTraces: true });
}

/** `@nats-io/kv` with a bucket that is opened once. */
export async function natsIoKv(nc: NatsConnection): Promise<StorePeer<string, KvEntry | null>> {
  const bucket = await new Kvm(nc).create("nats_io", { ttl: 86_400_000 });
  return {
    peer: "@nats-io/kv",
    write: (key, value) => bucket.put(key, value),
    read: (key) => bucket.get(key),
    valueOf: (found) => found!.string(),
  };
}

/**
 * `@nats-io/obj` with a bucket that is opened once.
 *
 * @param fastIngest Whether the chunks go out in a batch that the server confirms as a whole. For objects of one chunk that halves its speed, for those of
 * many it nearly doubles it (measured with 3.4 and nats-server 2.15.2).
 */
export async function natsIoObjects(
  nc: NatsConnection,
  jsm: JetStreamManager,
  fastIngest: boolean = false,
): Promise<ObjectPeer> {
  setSha256Backend("native");
  const name = fastIngest ? "nats_io_fast" : "nats_io";
  // Its types leave out the option for fast ingest.
  const options = { ttl: nanos(600_000), allowBatched: fastIngest };
  const bucket = await new Objm(nc).create(name, options);
  return {
    peer: fastIngest ? "@nats-io/obj, fast ingest" : "@nats-io/obj",
    write: (name, bytes) => bucket.putBlob({ name }, bytes),
    read: (name) => bucket.getBlob(name),
    valueOf: (found) => found!,
    // Each of its reads leaves a consumer behind, and the server allows a thousand.
    spare: { inFlight: 64, calls: 900 },
    tidy: () => removeConsumers(jsm, `OBJ_${name}`),
  };
}

/** Removes all consumers of a stream. */
export async function removeConsumers(jsm: JetStreamManager, stream: string): Promise<void> {
  const consumers = await Array.fromAsync(jsm.consumers.list(stream));
  await Promise.all(consumers.map(({ name }) => jsm.consumers.delete(stream, name)));
}

/** A peer that gives objects as bytes. */
export type ObjectPeer = StorePeer<Uint8Array, Uint8Array | null>;

/** Texts in a store of bytes. */
export function asTexts(store: ObjectPeer): StorePeer<string, Uint8Array | null> {
  return {
    ...store,
    write: (name, text) => store.write(name, encoder.encode(text)),
    valueOf: (found) => decoder.decode(found!),
  };
}

/** `@nats-io/jetstream`: `publish` with a message id, `consume` and `ackAck`. */
export async function natsIoQueue(js: JetStreamClient, jsm: JetStreamManager): Promise<QueuePeer> {
  await jsm.streams.add({ name: STREAM, subjects: ["nats_io.jobs"], retention: RetentionPolicy.Workqueue });
  return {
    peer: "@nats-io/jetstream",
    add: (data) => js.publish("nats_io.jobs", JSON.stringify(data), { msgID: nuid.next() }),
    addMany: (jobs) =>
      Promise.all(jobs.map((data) => js.publish("nats_io.jobs", JSON.stringify(data), { msgID: nuid.next() }))),
    work: (concurrency, started) => work(js, jsm, concurrency, started),
    count: async () => (await jsm.streams.info(STREAM)).state.messages,
    clear: () => jsm.streams.purge(STREAM),
  };
}

async function work(
  js: JetStreamClient,
  jsm: JetStreamManager,
  concurrency: number,
  started: () => void,
): Promise<Work> {
  const { name } = await jsm.consumers.add(STREAM, {
    durable_name: nuid.next(),
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: -1,
  });
  const consumer = await js.consumers.get(STREAM, name);
  const messages = await consumer.consume({ max_messages: 500 });
  const running = new Set<Promise<void>>();
  let done = 0;
  let slot = Promise.withResolvers<void>();
  const run = async (message: JsMsg) => {
    message.json();
    started();
    if (!await message.ackAck()) throw new Error("not acknowledged");
    done++;
  };
  const loop = (async () => {
    for await (const message of messages) {
      const one = run(message).finally(() => {
        running.delete(one);
        slot.resolve();
      });
      running.add(one);
      if (running.size < concurrency) continue;
      slot = Promise.withResolvers();
      await slot.promise;
    }
  })();
  return {
    done: () => done,
    stop: async () => {
      messages.stop();
      await loop;
      await Promise.all(running);
      await jsm.consumers.delete(STREAM, name);
    },
  };
}
