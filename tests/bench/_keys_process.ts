/**
 * Lists, watches or mirrors a large bucket: a process of its own, so that its memory and CPU are only its own.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { KvBucket } from "../../mod.ts";
import { usageOf, usedMeanwhile } from "./_process_usage.ts";
import { collectGarbage } from "./_sampling.ts";
import { connectStores } from "./supercheck_peer.ts";

/** What it does. */
export type KeysRole = "keys" | "watch" | "mirror";

/** What it is told. */
export interface KeysSettings {
  role: KeysRole;
  url: string;
  /** The server's process. */
  pid: number;
  bucket: string;
  /** How many keys there are. */
  keys: number;
}

/** What it reports. */
export interface KeysReport {
  /** Seconds. */
  took: number;
  /** Seconds of CPU. */
  ownCpu: number;
  serverCpu: number;
  /** Bytes at most, beyond those of the beginning. */
  ownPeak: number;
  serverPeak: number;
  /** Bytes of the heap and of buffers that stay in use, beyond those of the beginning. */
  heap: number;
}

/** Milliseconds between two looks whether the mirror answers. */
const LOOK_MS = 5;

/** Microseconds that a read takes at most which the mirror answers: one of the server takes longer. */
const MIRRORED_US = 20;

/** Does it; returns what stays in memory. */
async function run(role: KeysRole, bucket: KvBucket, keys: number): Promise<unknown> {
  if (role === "mirror") return await untilMirrored(bucket, keys);
  let count = 0;
  if (role === "keys") {
    for await (const _key of bucket.keys()) count++;
  } else {
    const stop = new AbortController();
    const initialized = () => stop.abort();
    for await (const _entry of bucket.watch(">", { initialized, signal: stop.signal })) count++;
  }
  if (count !== keys) throw new Error(`${count} keys came in place of ${keys}`);
  return null;
}

/** The mirror answers at once, the server does not. */
async function untilMirrored(bucket: KvBucket, keys: number): Promise<void> {
  const reads = 100;
  for (;;) {
    const begin = performance.now();
    for (let index = 0; index < reads; index++) {
      if (await bucket.get(`checks.eu.${keys - 1 - index}`) === null) throw new Error("a key has no value");
    }
    if ((performance.now() - begin) * 1000 / reads < MIRRORED_US) return;
    await delay(LOOK_MS);
  }
}

function inUse(): number {
  collectGarbage();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

async function measure({ role, url, pid, bucket: name, keys }: KeysSettings): Promise<KeysReport> {
  await using stores = await connectStores(url);
  const bucket = stores.kvBucket(name, { cache: role === "mirror" });
  await stores.kvBucket(name).get("checks.eu.0");
  const heap = inUse();
  const before = { own: usageOf(process.pid), server: usageOf(pid) };
  let server = { cpu: 0, peak: 0 };
  const own = await usedMeanwhile(process.pid, async () => {
    server = await usedMeanwhile(pid, () => run(role, bucket, keys));
  });
  return {
    took: own.took,
    ownCpu: own.cpu,
    serverCpu: server.cpu,
    ownPeak: own.peak - before.own.resident,
    serverPeak: server.peak - before.server.resident,
    heap: inUse() - heap,
  };
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0]))));
  Deno.exit();
}
