import { JetStreamStores } from "../../mod.ts";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { makeChaos } from "./_chaos.ts";
import { checkLedger, type Verdict } from "./check_ledger.ts";
import { ChildScript } from "./child_script.ts";
import { LagMeter } from "./lag_meter.ts";
import { leaderOf } from "./leader_of.ts";
import { Refusals, USERS, WORKER } from "./_refusals.ts";
import { readLedgers } from "./ledger_file.ts";
import { leftBehind } from "./left_behind.ts";
import type { ProducerOptions } from "./producer.ts";
import type { WorkerOptions } from "./_worker.ts";

/** How the queue is tried. */
export interface LedgerOptions {
  jobs: number;
  /** Decides what the jobs do, what is done to workers and servers, and when. */
  seed: number;
  /** Milliseconds for which jobs are published. */
  duration: number;
  /** Milliseconds from one blow to the next, on average. */
  interval: number;
  /** Servers that keep a copy: 1, or 3 of a cluster. */
  replicas?: 1 | 3;
  /** Milliseconds after which a dead worker's jobs run elsewhere. */
  lease: number;
  /** Whether workers are killed, too. */
  killWorkers?: boolean;
  /**
   * Whether the servers have a port for leafnodes: then they deliver into the inboxes of workers that have gone, for two seconds.
   * @default {false}
   */
  leafnodes?: boolean;
  /**
   * Whether some jobs are large, up to 700 kB.
   * @default {false}
   */
  large?: boolean;
  /**
   * Whether workers are denied subjects, and streams are full, for a while, again and again; with one server.
   * @default {false}
   */
  refusals?: boolean;
  /**
   * Whether some delayed jobs are changed, for which the server must be 2.14 or newer.
   * @default {true}
   */
  changes?: boolean;
  log?: (line: string) => void;
}

/** What came of it. */
export interface LedgerResult extends Verdict {
  /** What the server kept of the jobs when all was over, and after one more restart. */
  left: string[];
  /** Milliseconds in all. */
  took: number;
}

const QUEUE = "ledger";
const LEAFNODES = 'leafnodes { listen: "127.0.0.1:-1" }';
const PRODUCERS = 4;
const WORKERS = 4;
const CONCURRENCY = 8;

/** Milliseconds by which any of the processes may be late besides, unseen by this one. */
const SLACK_MS = 1_000;

/** Milliseconds that the last jobs may take: with replicas the server itself looks after messages that belong to no consumer, every two minutes. */
const PATIENCE_MS = 240_000;

/** Publishes jobs from four processes to four processes, kills workers and servers meanwhile, and compares what all of them noted. */
export async function runLedger(options: LedgerOptions): Promise<LedgerResult> {
  const { jobs, seed, duration, interval, replicas = 1, lease, killWorkers = true } = options;
  const { leafnodes = false, large = false, refusals = false, changes } = options;
  const began = performance.now();
  const log = (line: string) =>
    options.log?.(`${((performance.now() - began) / 1_000).toFixed(1).padStart(7)} s  ${line}`);
  await using cleanup = new AsyncDisposableStack();
  const lag = cleanup.use(new LagMeter());
  const folder = await Deno.makeTempDir({ prefix: "ledger-" });
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const config = `${leafnodes ? LEAFNODES : ""}\n${refusals ? USERS : ""}`;
  const nats = cleanup.use(await (replicas === 1 ? startNatsServer({ config }) : startNatsCluster({ config })));
  const servers = "urls" in nats ? nats.urls : [nats.url];
  const stores = cleanup.use(
    new JetStreamStores({
      servers,
      timeout: TIMEOUT_MS,
      connectTimeout: TIMEOUT_MS,
      logger: { info() {}, warn() {}, error: log },
    }),
  );
  const queue = stores.jobQueue(QUEUE, { lease, replicas });
  if (!await queue.open()) throw new Error("The queue cannot be opened");

  const common = { servers, queue: QUEUE, folder, seed };
  const start = (script: string, options: WorkerOptions | ProducerOptions) =>
    cleanup.use(new ChildScript(new URL(script, import.meta.url), options));
  const user = refusals ? WORKER : undefined;
  const startWorker = () => start("_worker.ts", { ...common, concurrency: CONCURRENCY, user });
  const workers = Array.from({ length: WORKERS }, startWorker);
  const producers = Array.from(
    { length: PRODUCERS },
    (_, first) =>
      start("producer.ts", {
        ...common,
        first,
        step: PRODUCERS,
        end: jobs,
        duration,
        large,
        keepResults: refusals,
        changes,
      }),
  );
  const published = Promise.all(producers.map((producer) => producer.ended()));
  const refuse = refusals && "url" in nats ? new Refusals(nats, QUEUE, seed, log) : undefined;
  const chaos = { nats, stream: `WQ_${QUEUE}`, workers, startWorker, folder, seed, interval, killWorkers, refuse, log };
  await makeChaos(chaos, () => producers.every((producer) => !producer.running));
  if ((await published).includes(false)) throw new Error("A producer failed");
  log("all is published");

  // What belongs to no consumer counts as delayed, so that workers are given time to look after it.
  const isEmpty = async () => {
    const counts = await queue.counts();
    return counts !== null &&
      counts.active + counts.delayed + Object.values(counts.ready).reduce((a, b) => a + b) === 0;
  };
  // A job that moves from one place to another may be counted in neither: so what is counted once is counted again.
  await waitUntil(async () => await isEmpty() && await isEmpty(), PATIENCE_MS).then(
    () => log("all has ended"),
    () => log("jobs are left over"),
  );
  if ((await Promise.all(workers.map((worker) => worker.finish()))).includes(false)) throw new Error("A worker failed");

  const left = await leftBehind(servers, QUEUE);
  await ("servers" in nats ? await leaderOf(nats, `WQ_${QUEUE}`) : nats).restart();
  left.push(...(await leftBehind(servers, QUEUE)).map((line) => `After a restart: ${line}`));
  await waitUntil(() => stores.connectionStatus() === "connected");
  const deadLetters = new Map<string, number>();
  for await (const { id, attempts } of queue.deadLetters()) deadLetters.set(id, attempts);
  const entries = readLedgers(folder);
  // All processes share the machine with this one, and are late when it is.
  const slack = SLACK_MS + 3 * lag.longest;
  const observation = { entries, deadLetters, concurrency: CONCURRENCY, replicated: replicas > 1, lease, slack, large };
  return { ...checkLedger(observation), left, took: performance.now() - began };
}
