/**
 * Streams objects in and out, some at once: a process of its own, so that its memory and CPU are only its own.
 *
 * @module
 */
import process from "node:process";
import { createHash } from "node:crypto";
import type { ObjectBucket } from "../../mod.ts";
import { usageOf, usedMeanwhile } from "./_process_usage.ts";
import { connectStores } from "./supercheck_peer.ts";

const MIB = 2 ** 20;

/** Bytes of a part of a source, as files and responses have them. */
const PART = 65_536;

/** What it is told. */
export interface StreamsSettings {
  url: string;
  bucket: string;
  /** How many streams at once. */
  streams: number;
  /** MiB of each. */
  size: number;
}

/** What it used for one direction. */
export interface StreamsUsage {
  /** Seconds. */
  took: number;
  /** Seconds of CPU. */
  cpu: number;
  /** Resident bytes at most. */
  peak: number;
}

/** What it reports. */
export interface StreamsReport {
  /** Resident bytes as it has connected. */
  begin: number;
  put: StreamsUsage;
  get: StreamsUsage;
}

/** The SHA-256 of each object, as it was given. */
const given = new Map<string, string>();

async function put(bucket: ObjectBucket, name: string, size: number): Promise<void> {
  const hash = createHash("sha256");
  let left = size * MIB / PART;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left-- === 0) return controller.close();
      const part = new Uint8Array(PART).fill(left);
      hash.update(part);
      controller.enqueue(part);
    },
  }, { highWaterMark: 0 });
  const info = await bucket.putStream(name, source);
  if (info?.size !== size * MIB) throw new Error(`${name} is not stored`);
  given.set(name, hash.digest("hex"));
}

async function get(bucket: ObjectBucket, name: string): Promise<void> {
  const hash = createHash("sha256");
  const stream = await bucket.getStream(name);
  for await (const part of stream!) hash.update(part);
  if (hash.digest("hex") !== given.get(name)) throw new Error(`${name} is not as it was stored`);
}

const { url, bucket: name, streams, size }: StreamsSettings = JSON.parse(Deno.args[0]);
const stores = await connectStores(url);
const bucket = stores.objectBucket(name);
await bucket.put("first", "makes the bucket");
const names = Array.from({ length: streams }, (_, n) => `${size}-${n}`);
const begin = usageOf(process.pid).resident;
const report: StreamsReport = {
  begin,
  put: await usedMeanwhile(process.pid, () => Promise.all(names.map((name) => put(bucket, name, size)))),
  get: await usedMeanwhile(process.pid, () => Promise.all(names.map((name) => get(bucket, name)))),
};
for (const name of names) await bucket.delete(name);
await stores.close();
console.log(JSON.stringify(report));
