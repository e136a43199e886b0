/**
 * Makes many of one kind, and tells what they cost: a process of its own, so that its memory is only its own.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import type { JetStreamStores } from "../../mod.ts";
import { UnrecoverableJobError } from "../../mod.ts";
import type { Figures } from "./_growth.ts";
import { usageOf } from "./_process_usage.ts";
import { collectGarbage, sampleThroughput, textOf } from "./_sampling.ts";
import { confirmed } from "./_store_peer.ts";
import { connectStores } from "./supercheck_peer.ts";

/** What is made. */
export type CostKind =
  | "key-value buckets"
  | "watches"
  | "waiting jobs of 200 B"
  | "delayed jobs of 200 B"
  | "dead letters of 200 B";

/** What it is told. */
export interface CostsSettings {
  kind: CostKind;
  count: number;
  url: string;
  /** The server's process. */
  pid: number;
  monitorUrl: string;
  storeDir: string;
}

const QUEUE = "costs";
const BUCKET = "costs";
const BATCH = 500;
const IN_FLIGHT = 16;
const CONCURRENCY = 100;
const HOUR_MS = 3_600_000;
const KIB = 2 ** 10;
const data = { text: textOf(200) };

/** Milliseconds after which the server has put away what making them took, and for which it is looked at while nothing happens. */
const SETTLED_AFTER_MS = 3_000;
const IDLE_MS = 5_000;

/** How each kind is made. */
const MAKE: Record<CostKind, (stores: JetStreamStores, count: number) => Promise<unknown>> = {
  "key-value buckets": (stores, count) =>
    each(count, (index) => stores.kvBucket(`bucket_${index}`).put("key", data.text)),
  watches: async (stores, count) => {
    const bucket = stores.kvBucket(BUCKET);
    confirmed(await bucket.put("key", data.text));
    await each(count, () =>
      new Promise<true>((initialized, fail) => {
        const watch = async () => {
          for await (const _entry of bucket.watch(">", { initialized: () => initialized(true) }));
        };
        watch().catch(fail);
      }));
  },
  "waiting jobs of 200 B": (stores, count) => publish(stores, count, {}),
  "delayed jobs of 200 B": (stores, count) => publish(stores, count, { delay: HOUR_MS }),
  "dead letters of 200 B": async (stores, count) => {
    const queue = stores.jobQueue(QUEUE);
    const fail = () => {
      throw new UnrecoverableJobError("never");
    };
    const worker = confirmed(await queue.consume(fail, { concurrency: CONCURRENCY }));
    await publish(stores, count, {});
    while (confirmed(await queue.counts()).dead < count) await delay(SETTLED_AFTER_MS / 10);
    await worker.stop();
  },
};

function each(count: number, call: (index: number) => Promise<unknown>): Promise<unknown> {
  return sampleThroughput(call, IN_FLIGHT, { time: Infinity, calls: count });
}

async function publish(stores: JetStreamStores, count: number, options: { delay?: number }): Promise<void> {
  await each(Math.ceil(count / BATCH), async (index) => {
    const jobs = Array.from({ length: Math.min(BATCH, count - index * BATCH) }, () => ({ data, ...options }));
    for (const receipt of confirmed(await stores.publishJobs(QUEUE, jobs))) confirmed(receipt);
    return true;
  });
}

/** Bytes of the files below a directory. */
function bytesBelow(directory: string): number {
  let bytes = 0;
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    bytes += isDirectory ? bytesBelow(path) : Deno.statSync(path).size;
  }
  return bytes;
}

async function subscriptionsAt(monitorUrl: string): Promise<number> {
  return (await (await fetch(`${monitorUrl}/varz`)).json()).subscriptions;
}

function ownMemory(): number {
  collectGarbage();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

async function measure({ kind, count, url, pid, monitorUrl, storeDir }: CostsSettings): Promise<Figures> {
  const stores = await connectStores(url);
  // What only the first one costs is not counted.
  confirmed(await stores.jobQueue(QUEUE).open());
  confirmed(await stores.kvBucket(BUCKET).put("first", ""));
  const before = { server: usageOf(pid), own: ownMemory(), disk: bytesBelow(storeDir) };
  const subscriptions = await subscriptionsAt(monitorUrl);
  const begin = performance.now();
  await MAKE[kind](stores, count);
  const made = (performance.now() - begin) / 1000;
  await delay(SETTLED_AFTER_MS);
  const after = { server: usageOf(pid), own: ownMemory(), disk: bytesBelow(storeDir) };
  await delay(IDLE_MS);
  const idle = usageOf(pid).cpu - after.server.cpu;
  return {
    "made, /s": count / made,
    "CPU of the server for making each, µs": (after.server.cpu - before.server.cpu) / count * 1e6,
    "memory of the server for each, KiB": (after.server.resident - before.server.resident) / count / KIB,
    "disk for each, KiB": (after.disk - before.disk) / count / KIB,
    "heap of the process for each, KiB": (after.own - before.own) / count / KIB,
    "subscriptions for each": (await subscriptionsAt(monitorUrl) - subscriptions) / count,
    "CPU of the server while nothing happens, % of a core": idle / IDLE_MS * 1e5,
  };
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0]))));
  Deno.exit();
}
