/**
 * Many queues with a worker each: a process of its own, so that its memory and CPU are only its own.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { JetStreamStores, JobConsumer } from "../../mod.ts";
import type { Figures } from "./_growth.ts";
import { usageOf } from "./_process_usage.ts";
import { collectGarbage, percentiles, within } from "./_sampling.ts";
import { confirmed } from "./_store_peer.ts";
import { connectStores } from "./supercheck_peer.ts";

/** A server as this process sees it. */
interface ServerUnderTest {
  name: string;
  url: string;
  /** Its process. */
  pid: number;
  monitorUrl: string;
  storeDir: string;
}

/** What it is told. */
export interface QueuesSettings {
  servers: ServerUnderTest[];
  queues: number;
  replicas: number;
  /** Milliseconds for which the idle queues are looked at. */
  idleMs: number;
}

/** Queues that are opened, or published to, at once. */
const AT_ONCE = 20;
/** Milliseconds that a call may take: so many workers in one process on a busy machine are late. */
const CALL_TIMEOUT_MS = 60_000;
/** Milliseconds in which all workers must be served, and all jobs must have run. */
const DEADLINE_MS = 300_000;
const LOOK_MS = 50;
/** Milliseconds after which a worker that has begun is idle. */
const SETTLED_AFTER_MS = 2_000;
const KIB = 2 ** 10;

/** The queues, and when the job of each in the present turn has started. */
class Queues {
  readonly #stores: JetStreamStores;
  readonly #names: string[];
  readonly #replicas: number;
  readonly workers: JobConsumer[] = [];
  #turn = "";
  #begin = 0;
  #started: Map<string, number> = new Map();
  #all = Promise.withResolvers<void>();

  constructor(stores: JetStreamStores, { queues, replicas }: QueuesSettings) {
    this.#stores = stores;
    this.#names = Array.from({ length: queues }, (_, index) => `queue_${index}`);
    this.#replicas = replicas;
  }

  /** Starts a worker for each, and waits until all are served. */
  async open(): Promise<void> {
    await this.#each(async (name) => {
      const queue = this.#stores.jobQueue<string>(name, { replicas: this.#replicas });
      this.workers.push(confirmed(await queue.consume(({ data }) => this.#start(name, data))));
    });
    const isServing = (worker: JobConsumer) => worker.status().state === "serving";
    await within(DEADLINE_MS, this.#until(() => this.workers.every(isServing)));
  }

  /** Publishes a job to each queue, again until it is confirmed; returns the milliseconds until the median one and the last one have started. */
  async runOneEach(turn: string): Promise<{ median: number; last: number }> {
    [this.#turn, this.#begin, this.#started, this.#all] = [turn, performance.now(), new Map(), Promise.withResolvers()];
    await within(DEADLINE_MS, Promise.all([this.#all.promise, this.#each((name) => this.#publish(name, turn))]));
    const took = [...this.#started.values()];
    return { median: percentiles(took).value, last: Math.max(...took) };
  }

  async #publish(name: string, turn: string): Promise<void> {
    while (await this.#stores.publishJob(name, turn, { id: turn }) === null) await delay(LOOK_MS);
  }

  #start(name: string, turn: string): void {
    if (turn !== this.#turn) return;
    if (this.#started.has(name)) throw new Error(`the job of ${name} ran twice`);
    this.#started.set(name, performance.now() - this.#begin);
    if (this.#started.size === this.#names.length) this.#all.resolve();
  }

  async #each(work: (name: string) => Promise<void>): Promise<void> {
    const names = [...this.#names];
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) await work(name);
    }));
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await delay(LOOK_MS);
  }
}

/** What all servers together, and this process, have used. */
function usage(servers: ServerUnderTest[]): { serverCpu: number; server: number; ownCpu: number; own: number } {
  const all = servers.map(({ pid }) => usageOf(pid));
  const { cpu, resident } = usageOf(process.pid);
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    serverCpu: sum(all.map((one) => one.cpu)),
    server: sum(all.map((one) => one.resident)),
    ownCpu: cpu,
    own: resident,
  };
}

async function monitor(server: ServerUnderTest, path: string): Promise<Record<string, number>> {
  return await (await fetch(`${server.monitorUrl}${path}`)).json();
}

async function measure(settings: QueuesSettings): Promise<Figures> {
  const { servers, queues: count, idleMs, replicas } = settings;
  const stores = await connectStores(servers.map(({ url }) => url).join(","), CALL_TIMEOUT_MS);
  const queues = new Queues(stores, settings);
  collectGarbage();
  const before = usage(servers);
  const begin = performance.now();
  await queues.open();
  const opened = performance.now() - begin;
  // Each worker looks at its queue once, soon after it has begun.
  await delay(SETTLED_AFTER_MS);
  collectGarbage();
  const open = usage(servers);
  await delay(idleMs);
  const idle = usage(servers);
  const { connections, subscriptions } = await monitor(servers[0], "/varz");
  const { ha_assets } = await monitor(servers[0], "/jsz");
  const turn = await queues.runOneEach("first");
  const figures: Figures = {
    "time until all workers are served, ms": opened,
    [`memory of ${replicas === 1 ? "the server" : "the three servers"} for each, KiB`]: (open.server - before.server) /
      count / KIB,
    "memory of the process for each, KiB": (open.own - before.own) / count / KIB,
    "connections at a server": connections,
    "subscriptions at a server, for each queue": subscriptions / count,
    ...replicas > 1 && { "Raft groups of a server": ha_assets },
    "CPU of the servers while they are idle, % of a core": (idle.serverCpu - open.serverCpu) / idleMs * 1e5,
    "CPU of the process while they are idle, % of a core": (idle.ownCpu - open.ownCpu) / idleMs * 1e5,
    "one job for each queue: time to the median start, ms": turn.median,
    "one job for each queue: time to the last start, ms": turn.last,
  };
  if (replicas > 1) Object.assign(figures, await loseServer(settings, stores, queues));
  await stores.close();
  return figures;
}

/** Kills the server that the process is connected to, which leads its share of the queues, and has each queue run a job. */
async function loseServer({ servers }: QueuesSettings, stores: JetStreamStores, queues: Queues): Promise<Figures> {
  const { serverName } = confirmed(await stores.connect());
  const lost = servers.find(({ name }) => name === serverName);
  if (!lost) throw new Error(`connected to ${serverName}, which is none of the servers`);
  Deno.kill(lost.pid, "SIGKILL");
  const turn = await queues.runOneEach("second");
  return {
    "after the loss of a server: a job of the median queue starts within, ms": turn.median,
    "after the loss of a server: a job of the last queue starts within, ms": turn.last,
  };
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(JSON.parse(Deno.args[0]))));
  Deno.exit();
}
