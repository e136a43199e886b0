import { ChildScript } from "../ledger/child_script.ts";
import type { ProducerOptions } from "../ledger/producer.ts";
import { Member, type Role } from "./_members.ts";
import type { StoreClientOptions } from "./_store_client.ts";
import type { ChaosWorkerOptions } from "./_worker.ts";

/** Where processes note what they do. */
export interface Folders {
  jobs: string;
  stores: string;
  ticks: string;
}

/** What all processes are started with. */
export interface MembersSetup {
  servers: string[];
  folders: Folders;
  seed: number;
  replicas: number;
  queue: string;
  ticks: string;
  /** Milliseconds for which jobs are published. */
  duration: number;
  /** Jobs that a worker runs at the same time. */
  concurrency: number;
}

/** How many processes of each role there are. */
const PRODUCERS = 2;
const WORKERS = 3;
const CLIENTS = 2;

const JOBS_PER_SECOND = 40;

/** Name of the bucket and of the queue whose streams others delete. */
const SCRATCH = "scratch";

/** Starts all processes. */
export function startMembers(setup: MembersSetup, cleanup: AsyncDisposableStack): Member[] {
  const { folders, seed, replicas, queue, ticks, duration, concurrency } = setup;
  const jobs = Math.round(duration / 1_000 * JOBS_PER_SECOND);
  const members: Member[] = [];
  const start = <Options>(role: Role, script: string, optionsOf: (servers: string[]) => Options) => {
    const number = members.filter((member) => member.role === role).length;
    const child = (servers: string[]) => new ChildScript(new URL(script, import.meta.url), optionsOf(servers));
    members.push(cleanup.use(new Member(role, number, setup.servers, child)));
  };
  for (let first = 0; first < PRODUCERS; first++) {
    const common = { queue, folder: folders.jobs, seed, first, step: PRODUCERS, end: jobs, duration, large: true };
    start<ProducerOptions>("producer", "../ledger/producer.ts", (servers) => ({ ...common, servers }));
  }
  for (let number = 0; number < WORKERS; number++) {
    const common = { queue, ticks, scratch: SCRATCH, folders, seed, concurrency };
    start<ChaosWorkerOptions>("worker", "_worker.ts", (servers) => ({ ...common, servers }));
  }
  for (let number = 0; number < CLIENTS; number++) {
    const common = { folder: folders.stores, seed, number, clients: CLIENTS, replicas, scratch: SCRATCH };
    start<StoreClientOptions>("client", "_store_client.ts", (servers) => ({ ...common, servers }));
  }
  return members;
}
