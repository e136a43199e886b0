import type { JetStreamManager } from "@nats-io/jetstream";
import { JetStreamStores } from "../../src/stores.ts";
import { OURS } from "./_comparison.ts";
import type { Payload, QueuePeer } from "./_queue_peer.ts";
import { confirmed, type StorePeer } from "./_store_peer.ts";

const QUEUE = "bench";

/** Connects this library to the given server; its environment is not this process's. */
export async function connectStores(url: string): Promise<JetStreamStores> {
  const logger = { info() {}, warn: console.error, error: console.error };
  const stores = new JetStreamStores({ servers: url, logger, env: () => undefined });
  confirmed(await stores.connect());
  return stores;
}

/** `storeKV` and `loadKV`. */
export function supercheckKv(stores: JetStreamStores): StorePeer<string> {
  return {
    peer: OURS,
    write: async (key, value) => confirmed(await stores.storeKV(key, value)),
    read: async (key) => (await stores.loadKV(key))?.val ?? null,
  };
}

/** `storeHealthcheck` and `loadHealthcheck`. */
export function supercheckHealth(stores: JetStreamStores): StorePeer<string> {
  return {
    peer: OURS,
    write: async (url, json) => confirmed(await stores.storeHealthcheck(url, json)),
    read: (url) => stores.loadHealthcheck(url),
  };
}

/** `objectBucket(…).put` and `.get`. */
export function supercheckObjects(stores: JetStreamStores): StorePeer<Uint8Array> {
  const bucket = stores.objectBucket("bench_objects");
  return {
    peer: OURS,
    write: async (name, bytes) => confirmed(await bucket.put(name, bytes)),
    read: (name) => bucket.get(name),
  };
}

/** `publishJob`, `publishJobs` and `consumeJobs`; with a priority, single jobs have it and the worker looks for no others. */
export async function supercheckQueue(
  stores: JetStreamStores,
  jsm: JetStreamManager,
  priority?: "high",
): Promise<QueuePeer> {
  const stream = `WQ_${QUEUE}`;
  confirmed(await stores.jobQueue(QUEUE).open());
  return {
    peer: OURS,
    add: async (data) => confirmed(await stores.publishJob(QUEUE, data, { priority })),
    addMany: async (jobs) => {
      const receipts = confirmed(await stores.publishJobs(QUEUE, jobs.map((data) => ({ data }))));
      for (const receipt of receipts) confirmed(receipt);
    },
    work: async (concurrency, started) => {
      const consumer = confirmed(
        await stores.consumeJobs<Payload>(QUEUE, started, {
          concurrency,
          priorities: priority && [priority],
        }),
      );
      return { done: () => consumer.status().ended.completed, stop: () => consumer.stop() };
    },
    count: async () => (await jsm.streams.info(stream)).state.messages,
    clear: () => jsm.streams.purge(stream),
  };
}
