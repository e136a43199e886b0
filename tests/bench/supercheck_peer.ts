import type { JetStreamManager } from "@nats-io/jetstream";
import { JetStreamStores, type KeyAndValue } from "../../src/stores.ts";
import { OURS } from "./_comparison.ts";
import type { Payload, QueuePeer } from "./_queue_peer.ts";
import { confirmed, type StorePeer } from "./_store_peer.ts";

const QUEUE = "bench";

/**
 * Connects this library to the given server; its environment is not this process's.
 *
 * @param timeout Milliseconds that a call may take.
 */
export async function connectStores(url: string, timeout?: number): Promise<JetStreamStores> {
  const logger = { info() {}, warn: console.error, error: console.error };
  const stores = new JetStreamStores({ servers: url, logger, env: () => undefined, timeout });
  confirmed(await stores.connect());
  return stores;
}

/** `storeKV` and `loadKV`. */
export function supercheckKv(stores: JetStreamStores): StorePeer<string, KeyAndValue | null> {
  return {
    peer: OURS,
    write: (key, value) => stores.storeKV(key, value),
    read: (key) => stores.loadKV(key),
    valueOf: (found) => found!.val,
  };
}

/** `storeHealthcheck` and `loadHealthcheck`. */
export function supercheckHealth(stores: JetStreamStores): StorePeer<string, string | null> {
  return {
    peer: OURS,
    write: (url, json) => stores.storeHealthcheck(url, json),
    read: (url) => stores.loadHealthcheck(url),
    valueOf: (found) => found!,
  };
}

/** `objectBucket(…).put` and `.get`. */
export function supercheckObjects(stores: JetStreamStores): StorePeer<Uint8Array, Uint8Array | null> {
  const bucket = stores.objectBucket("bench_objects");
  return {
    peer: OURS,
    write: (name, bytes) => bucket.put(name, bytes),
    read: (name) => bucket.get(name),
    valueOf: (found) => found!,
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
    add: (data) => stores.publishJob(QUEUE, data, { priority }),
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
