/**
 * A fleet of workers on one queue: a process of its own, so that its memory and CPU are only theirs.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { JetStreamStores, JobConsumer } from "../../mod.ts";
import type { Figures } from "./_growth.ts";
import { usageOf, usedMeanwhile } from "./_process_usage.ts";
import { collectGarbage, within } from "./_sampling.ts";
import { confirmed } from "./_store_peer.ts";
import { connectStores } from "./supercheck_peer.ts";

/** What it is told. */
export interface FleetSettings {
  url: string;
  /** The server's process. */
  pid: number;
  monitorUrl: string;
  workers: number;
  /** Milliseconds for which the idle fleet is looked at. */
  idleMs: number;
}

const QUEUE = "fleet";
const CONNECTIONS_AT_ONCE = 20;
/** Jobs that are published at once. */
const BATCH = 500;
/** Jobs for each worker of the second burst. */
const JOBS_EACH = 20;
/** Milliseconds that a call may take: so many workers in one process on a busy machine are late. */
const CALL_TIMEOUT_MS = 60_000;
/** Milliseconds in which all workers must be served, and all jobs must start. */
const DEADLINE_MS = 300_000;
/** Milliseconds after which a worker that has begun is idle. */
const SETTLED_AFTER_MS = 2_000;
/** Milliseconds between two looks whether all serve. */
const LOOK_MS = 20;
/** Bytes of a mebibyte, and of a kibibyte. */
const MIB = 2 ** 20;
const KIB = 2 ** 10;

/** Collects the starts of jobs; each job of the first burst ends when all have started. */
class Starts {
  readonly #begin = performance.now();
  readonly #wanted: number;
  readonly #all = Promise.withResolvers<void>();
  readonly #seen: Set<number> = new Set();
  readonly took: number[] = [];

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  get all(): Promise<void> {
    return this.#all.promise;
  }

  add(job: number): void {
    if (this.#seen.has(job)) return this.#all.reject(new Error(`job ${job} ran twice`));
    this.#seen.add(job);
    this.took.push(performance.now() - this.#begin);
    if (this.took.length === this.#wanted) this.#all.resolve();
  }
}

async function measure({ url, pid, monitorUrl, workers, idleMs }: FleetSettings): Promise<Figures> {
  const before = { server: usageOf(pid), own: usageOf(process.pid) };
  const own = await connectStores(url, CALL_TIMEOUT_MS);
  confirmed(await own.jobQueue(QUEUE).open());
  let starts = new Starts(Infinity);
  let handle: (job: number) => Promise<void> | void = () => {};
  const connections = await connectFleet(url, workers);
  const begin = performance.now();
  const fleet = await Promise.all(connections.map(async (stores) => {
    return { stores, worker: confirmed(await stores.consumeJobs<number>(QUEUE, ({ data }) => handle(data))) };
  }));
  await untilServing(fleet.map(({ worker }) => worker));
  const served = performance.now() - begin;
  collectGarbage();
  const after = { server: usageOf(pid), own: usageOf(process.pid) };
  // Each worker looks at the queue once, soon after it has begun.
  await delay(SETTLED_AFTER_MS);
  const { subscriptions, in_msgs: earlier } = await (await fetch(`${monitorUrl}/varz`)).json();
  const ownCpu = usageOf(process.pid).cpu;
  const idle = await usedMeanwhile(pid, () => delay(idleMs));
  const idleCpu = usageOf(process.pid).cpu - ownCpu;
  const { in_msgs } = await (await fetch(`${monitorUrl}/varz`)).json();

  starts = new Starts(workers);
  handle = async (job) => {
    starts.add(job);
    await starts.all;
  };
  const bursting = await usedMeanwhile(pid, () => burst(own, workers, starts));
  const first = starts.took.at(-1)!;
  const jobs = workers * JOBS_EACH;
  starts = new Starts(jobs);
  handle = (job) => starts.add(job);
  const cpuBefore = usageOf(process.pid).cpu;
  const working = await usedMeanwhile(pid, () => burst(own, jobs, starts));
  const workingCpu = usageOf(process.pid).cpu - cpuBefore;
  await close(own, fleet);
  return {
    "time until all of them serve, ms": served,
    "CPU of the server while they are idle, % of a core": idle.cpu / idle.took * 100,
    "CPU of their process while they are idle, % of a core": idleCpu / idle.took * 100,
    "messages to the server while they are idle, /s": (in_msgs - earlier) / idle.took,
    "memory of the server for each, KiB": (after.server.resident - before.server.resident) / workers / KIB,
    "memory of their process for each, KiB": (after.own.resident - before.own.resident) / workers / KIB,
    "subscriptions of each, subscriptions": subscriptions / workers,
    "highest memory of the server, MiB": usageOf(pid).peak / MIB,
    "a burst of one job for each: time to the last start, ms": first,
    "CPU of the server for each of these jobs, µs": bursting.cpu / workers * 1e6,
    "a burst of 20 jobs for each, jobs/s": jobs / working.took,
    "CPU of the server for each of the 20, µs": working.cpu / jobs * 1e6,
    "CPU of their process for each of the 20, µs": workingCpu / jobs * 1e6,
  };
}

/** Connects, a few at a time: one process that makes all connections at once would be late for the first. */
async function connectFleet(url: string, workers: number): Promise<JetStreamStores[]> {
  const connections: JetStreamStores[] = [];
  while (connections.length < workers) {
    const some = Math.min(CONNECTIONS_AT_ONCE, workers - connections.length);
    connections.push(...await Promise.all(Array.from({ length: some }, () => connectStores(url, CALL_TIMEOUT_MS))));
  }
  return connections;
}

async function untilServing(workers: JobConsumer[]): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  for (;;) {
    const rest = workers.filter((worker) => worker.status().state !== "serving");
    if (rest.length === 0) return;
    if (performance.now() > end) {
      throw new Error(`${rest.length} workers are not served: ${JSON.stringify(rest[0].status())}`);
    }
    await delay(LOOK_MS);
  }
}

/** Publishes so many jobs, numbered, and waits until all of them have started. */
async function burst(stores: JetStreamStores, jobs: number, starts: Starts): Promise<void> {
  const publishing = (async () => {
    for (let first = 0; first < jobs; first += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, jobs - first) }, (_, index) => ({ data: first + index }));
      for (const receipt of confirmed(await stores.publishJobs(QUEUE, batch))) confirmed(receipt);
    }
  })();
  await within(DEADLINE_MS, Promise.all([starts.all, publishing])).catch((cause) => {
    throw new Error(`of ${jobs} jobs ${starts.took.length} have started`, { cause });
  });
}

async function close(own: JetStreamStores, fleet: { stores: JetStreamStores; worker: JobConsumer }[]): Promise<void> {
  await Promise.all(fleet.map(({ stores }) => stores.close()));
  const counts = confirmed(await own.jobQueue(QUEUE).counts());
  if (counts.active + counts.ready.normal + counts.dead > 0) {
    throw new Error(`jobs are left: ${JSON.stringify(counts)}`);
  }
  await own.close();
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0]))));
  Deno.exit();
}
