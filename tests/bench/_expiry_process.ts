/**
 * Stores many health checks, and goes on storing and reading a few while the many expire: a process of its own, so that its memory and CPU are only its
 * own.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { ObjectBucket } from "../../mod.ts";
import type { Figures } from "./_growth.ts";
import { resetPeak, usageOf, usedMeanwhile } from "./_process_usage.ts";
import { percentiles, sampleThroughput, textOf, within } from "./_sampling.ts";
import { confirmed } from "./_store_peer.ts";
import { connectStores } from "./supercheck_peer.ts";

/** What it is told. */
export interface ExpirySettings {
  url: string;
  /** The server's process. */
  pid: number;
  /** How many health checks expire. */
  checks: number;
  /** Milliseconds after which they do. */
  ttlMs: number;
}

const IN_FLIGHT = 64;
const TEXT = textOf(1000);
const MIB = 2 ** 20;

/** The few that are stored and read all the time: so many callers, each with names of its own, so many times a second. */
const CALLERS = 8;
const NAMES = 25;
const PAUSE_MS = 5;

/** Milliseconds of the others' calls before anything expires. */
const CALM_MS = 5_000;

/** Milliseconds between two looks whether the last one is left, and within which all must be gone. */
const LOOK_MS = 100;
const GONE_WITHIN_MS = 60_000;

const nameOf = (index: number) => `https://service-${index}.example.com/health?deep=1`;

/** Calls in microseconds, the stores and the reads. */
interface Took {
  stores: number[];
  reads: number[];
}

/** The callers whose calls are timed, until `over` aborts. */
async function callMeanwhile(bucket: ObjectBucket, over: AbortSignal): Promise<Took> {
  const took: Took = { stores: [], reads: [] };
  const timed = async (times: number[], call: Promise<unknown>) => {
    const begin = performance.now();
    confirmed(await call);
    times.push((performance.now() - begin) * 1000);
  };
  await Promise.all(Array.from({ length: CALLERS }, async (_, caller) => {
    for (let index = 0; !over.aborted; index++) {
      const name = `https://other-${caller}-${index % NAMES}.example.com/health`;
      await timed(took.stores, bucket.put(name, TEXT));
      await timed(took.reads, bucket.getText(name));
      await delay(PAUSE_MS);
    }
  }));
  return took;
}

/** The others' calls while something happens. */
async function meanwhile(bucket: ObjectBucket, happens: Promise<unknown>): Promise<Took> {
  const over = new AbortController();
  const calls = callMeanwhile(bucket, over.signal);
  await happens.finally(() => over.abort());
  return await calls;
}

/** Those that were stored first expire first. */
async function untilExpired(bucket: ObjectBucket, checks: number): Promise<void> {
  while (await bucket.getText(nameOf(checks - 1)) !== null) await delay(LOOK_MS);
}

async function measure({ url, pid, checks, ttlMs }: ExpirySettings): Promise<Figures> {
  await using stores = await connectStores(url);
  const bucket = stores.objectBucket("checks", { ttl: ttlMs });
  confirmed(await bucket.put("made", TEXT));
  const before = usageOf(pid).resident;
  const ownCpu = usageOf(process.pid).cpu;
  const storing = await usedMeanwhile(
    pid,
    () => sampleThroughput((index) => bucket.put(nameOf(index), TEXT), IN_FLIGHT, { time: Infinity, calls: checks }),
  );
  const storingCpu = usageOf(process.pid).cpu - ownCpu;
  const stored = performance.now();
  const full = usageOf(pid).resident;
  const calm = await meanwhile(bucket, delay(Math.min(CALM_MS, ttlMs / 2)));

  // The first one has been there for as long as all took.
  await delay(Math.max(0, ttlMs - storing.took * 1000 - (performance.now() - stored)));
  resetPeak(pid);
  const begin = performance.now();
  const idleCpu = usageOf(pid).cpu;
  const gone = within(ttlMs + GONE_WITHIN_MS, untilExpired(bucket, checks));
  const expiring = await meanwhile(bucket, gone);
  const expired = usageOf(pid);
  const late = performance.now() - stored - ttlMs;
  const percentile = (took: number[]) => percentiles(took);
  return {
    "stored with 64 in flight, /s": checks / storing.took,
    "CPU of the server for each store, µs": storing.cpu / checks * 1e6,
    "CPU of the process for each store, µs": storingCpu / checks * 1e6,
    "memory of the server for all, MiB": (full - before) / MIB,
    "others' stores before: median, µs": percentile(calm.stores).value,
    "others' stores before: 99 %, µs": percentile(calm.stores).p99!,
    "others' reads before: median, µs": percentile(calm.reads).value,
    "others' reads before: 99 %, µs": percentile(calm.reads).p99!,
    "others' stores while they expire: median, µs": percentile(expiring.stores).value,
    "others' stores while they expire: 99 %, µs": percentile(expiring.stores).p99!,
    "others' reads while they expire: median, µs": percentile(expiring.reads).value,
    "others' reads while they expire: 99 %, µs": percentile(expiring.reads).p99!,
    "the slowest of these calls, µs": Math.max(...expiring.stores, ...expiring.reads),
    "the last one is gone so long after its time, ms": late,
    "CPU of the server while they expire, % of a core": (expired.cpu - idleCpu) / (performance.now() - begin) * 1e5,
    "most memory of the server while they expire, MiB": expired.peak / MIB,
  };
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0]))));
  Deno.exit();
}
