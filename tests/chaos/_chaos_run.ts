import { JetStreamStores, type JobQueue } from "../../mod.ts";
import { type NatsCluster, type NatsServer, startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { type ChaosEntry, LedgerFile, now, readLedgers } from "../ledger/ledger_file.ts";
import { LagMeter } from "../ledger/lag_meter.ts";
import { leftBehind } from "../ledger/left_behind.ts";
import { FAILS, REFUSES } from "../ledger/noted_handler.ts";
import { random } from "../ledger/plan.ts";
import { checkServers, orphanedChunks } from "./_check_server.ts";
import { ACCOUNTS, DEPOSIT } from "./_bank.ts";
import { accessConfig } from "./_denied_subjects.ts";
import { makeFaults } from "./_make_faults.ts";
import type { Member } from "./_members.ts";
import { observeStores, type Stored } from "./_observe_stores.ts";
import { serversReady } from "./_servers_ready.ts";
import { settleJobs, settleProcesses } from "./_settle.ts";
import { type Folders, startMembers } from "./_start_members.ts";
import { type Fault, planFaults } from "./plan_faults.ts";
import type { TickNote } from "./tick_notes.ts";

/** How all parts are tried together. */
export interface ChaosRunOptions {
  /** Decides what is done to whom, and when. */
  seed: number;
  /** Milliseconds for which faults begin. */
  duration: number;
  /** Servers, and copies of all that is stored. */
  replicas: 1 | 3;
  /**
   * Whether the folder with all notes stays, as it does where something is contradicted.
   * @default {false}
   */
  keep?: boolean;
  log: (line: string) => void;
}

/** Jobs that a worker runs at the same time. */
export const CONCURRENCY = 6;

/** Milliseconds of the queue's lease: long enough that most faults do not outlast it, so that nothing may run twice. */
export const LEASE = 16_000;

/** Milliseconds between two ticks of the schedule. */
export const TICK_INTERVAL = 1_000;

const QUEUE = "chaos";
const TICKS = "ticks";
const BUCKETS = ["KV_values", "KV_counters", "KV_claims", "KV_locks", "KV_bank", "OBJ_objects"];

/** Milliseconds within which a server is ready, on a busy machine, too. */
const SERVER_TIMEOUT_MS = 120_000;

/** Milliseconds for the last jobs to end once all faults are over. */
const SETTLE_TIMEOUT_MS = 3 * LEASE + 60_000;

/** Milliseconds after the last fault in which the schedule is to tick. */
const TICKING = 5_000;

/** What a run is made of. */
interface ChaosRunParts {
  options: ChaosRunOptions;
  cleanup: AsyncDisposableStack;
  nats: NatsServer | NatsCluster;
  stores: JetStreamStores;
  queue: JobQueue;
  folders: Folders;
  /** Whether the notes are left behind. */
  keeping: { notes: boolean };
  lag: LagMeter;
}

/** The servers and processes of a run. Disposal ends them all. */
export class ChaosRun implements AsyncDisposable {
  readonly folders: Folders;
  readonly #options: ChaosRunOptions;
  readonly #parts: ChaosRunParts;
  readonly #members: Member[];
  readonly #servers: readonly NatsServer[];
  readonly #began = performance.now();
  /** When it began, when all faults were over, and when all jobs had ended after them. */
  #from = now();
  #quietFrom = Infinity;
  #endedAt = Infinity;
  #tickedBy = 0;

  private constructor(parts: ChaosRunParts) {
    const { options: { seed, duration, replicas }, nats, folders, cleanup } = parts;
    this.#options = parts.options;
    this.#parts = parts;
    this.folders = folders;
    this.#servers = "servers" in nats ? nats.servers : [nats];
    const queues = { queue: QUEUE, ticks: TICKS, concurrency: CONCURRENCY };
    this.#members = startMembers({ servers: this.#urls, folders, seed, replicas, duration, ...queues }, cleanup);
  }

  /** Starts the servers, opens the queues and starts all processes. */
  static async start(options: ChaosRunOptions): Promise<ChaosRun> {
    const { replicas, log } = options;
    await using cleanup = new AsyncDisposableStack();
    const keeping = { notes: options.keep ?? false };
    const folders = await makeFolders(keeping, cleanup);
    const lag = cleanup.use(new LagMeter());
    // Servers that take leafnodes deliver to whoever is gone for a while longer.
    const leafnodes = random(options.seed, 3, 78) < 0.3 ? `leafnodes { listen: "127.0.0.1:-1" }\n` : "";
    const config = leafnodes + accessConfig([]);
    const server = { config, timeout: SERVER_TIMEOUT_MS };
    const nats = cleanup.use(await (replicas === 1 ? startNatsServer(server) : startNatsCluster(server)));
    const servers = "urls" in nats ? nats.urls : [nats.url];
    const stores = cleanup.use(new JetStreamStores({ servers, logger: { info() {}, warn() {}, error: log } }));
    const queue = stores.jobQueue(QUEUE, { lease: LEASE, replicas });
    await openQueues(stores, queue, replicas);
    await openBank(stores, replicas);
    return new ChaosRun({ options, cleanup: cleanup.move(), nats, stores, queue, folders, keeping, lag });
  }

  /** Makes the faults that the seed draws, and returns those that were made. */
  async makeFaults(): Promise<Fault[]> {
    const { seed, duration, replicas } = this.#options;
    const { nats } = this.#parts;
    const faults = planFaults({ seed, duration, lease: LEASE, replicas });
    const kinds = new Set(faults.map(({ kind }) => kind));
    this.#log(`${faults.length} faults are planned (${[...kinds].join(" ")}), notes are in ${this.folders.jobs}`);
    using ledger = new LedgerFile<ChaosEntry>(this.folders.jobs, "chaos");
    const log = (line: string) => this.#log(line);
    const targets = {
      members: this.#members,
      servers: this.#servers,
      ready: () => serversReady(nats, log),
      ledger,
      log,
    };
    const made = await makeFaults(faults, targets, { began: this.#began, until: this.#began + duration });
    this.#quietFrom = now();
    this.#log(`all faults are over, ${made.length} of ${faults.length} were made`);
    return made;
  }

  /** Waits until all jobs and processes have ended. */
  async settle(): Promise<string[]> {
    const log = (line: string) => this.#log(line);
    await new Promise((resolve) => setTimeout(resolve, TICKING));
    // A worker that is cut off until the last fault is over is connected again some seconds later.
    const hasTicked = () => readLedgers<TickNote>(this.folders.ticks).some(({ at }) => at >= this.#quietFrom);
    await waitUntil(hasTicked).catch(() => {});
    this.#tickedBy = now();
    const violations = await settleJobs(this.#members, this.#parts.queue, SETTLE_TIMEOUT_MS, log);
    this.#endedAt = now();
    return [...violations, ...await settleProcesses(this.#members, log)];
  }

  /** Reads what is stored in the end, and ends the own connection. */
  async observe(): Promise<Stored & { deadLetters: Map<string, number>; untrue: string[] }> {
    const { stores, queue } = this.#parts;
    const deadLetters = new Map<string, number>();
    const untrue: string[] = [];
    for await (const { id, attempts, reason } of queue.deadLetters()) {
      deadLetters.set(id, attempts);
      if (reason !== FAILS && reason !== REFUSES) untrue.push(`${id} is a dead letter because of "${reason}"`);
    }
    const stored = await observeStores(stores);
    await stores.close();
    return { ...stored, deadLetters, untrue };
  }

  /** What is left behind on the servers, once all processes have ended. */
  async checkServers(): Promise<string[]> {
    return [...await checkServers(this.#servers, BUCKETS), ...await leftBehind(this.#urls, QUEUE)];
  }

  /** Leaves the notes behind. */
  keepNotes(): void {
    this.#parts.keeping.notes = true;
  }

  /** How many chunks belong to no object. */
  async orphanedChunks(): Promise<number> {
    return await orphanedChunks(this.#urls, "objects");
  }

  /** When the schedule is to tick. */
  get quiet(): { from: number; quietFrom: number; quietTo: number } {
    const quietTo = Math.min(this.#endedAt, Math.max(this.#tickedBy, this.#quietFrom + TICKING + this.slack));
    return { from: this.#from, quietFrom: this.#quietFrom, quietTo };
  }

  /** Milliseconds by which processes may be late: they share the machine with this one, and are late when it is. */
  get slack(): number {
    return 1_000 + 3 * this.#parts.lag.longest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.cleanup[Symbol.asyncDispose]();
  }

  get #urls(): string[] {
    return this.#servers.map(({ url }) => url);
  }

  #log(line: string): void {
    this.#options.log(`${((performance.now() - this.#began) / 1_000).toFixed(1).padStart(7)} s  ${line}`);
  }
}

async function makeFolders(keeping: { notes: boolean }, cleanup: AsyncDisposableStack): Promise<Folders> {
  const root = await Deno.makeTempDir({ prefix: "chaos-" });
  cleanup.defer(async () => {
    if (!keeping.notes) await Deno.remove(root, { recursive: true });
  });
  const [jobs, stores, ticks] = ["jobs", "stores", "ticks"].map((name) => `${root}/${name}`);
  for (const folder of [jobs, stores, ticks]) await Deno.mkdir(folder);
  return { jobs, stores, ticks };
}

async function openQueues(stores: JetStreamStores, queue: JobQueue, replicas: number): Promise<void> {
  const ticks = stores.jobQueue(TICKS, { lease: LEASE, replicas });
  const scheduled = await ticks.schedule("tick", { every: TICK_INTERVAL, data: null });
  if (!await queue.open() || !scheduled) throw new Error("The queues cannot be opened");
}

async function openBank(stores: JetStreamStores, replicas: number): Promise<void> {
  const opening = stores.kvBucket("bank", { replicas }).atomic();
  for (const account of ACCOUNTS) opening.put(account, `${DEPOSIT}`);
  if (!(await opening.commit())?.ok) throw new Error("The bank cannot be opened");
}
