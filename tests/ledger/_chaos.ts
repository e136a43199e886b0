import type { NatsCluster, NatsServer } from "../../src/testing/mod.ts";
import type { ChildScript } from "./child_script.ts";
import { leaderOf } from "./leader_of.ts";
import type { Refusals } from "./_refusals.ts";
import { type ChaosEntry, LedgerFile, now } from "./ledger_file.ts";
import { random } from "./plan.ts";

/** What chaos is done to. */
export interface ChaosOptions {
  nats: NatsServer | NatsCluster;
  /** The stream whose leader is killed in a cluster. */
  stream: string;
  workers: ChildScript[];
  startWorker: () => ChildScript;
  /** Where it is noted. */
  folder: string;
  seed: number;
  /** Milliseconds from one blow to the next, on average. */
  interval: number;
  /** Whether workers are killed, too. */
  killWorkers: boolean;
  /** Refuses workers what they need. */
  refuse?: Refusals;
  log: (line: string) => void;
}

/** Milliseconds that a cluster is left without the server that was killed. */
const WITHOUT_LEADER = 2_000;

/** Milliseconds for which workers are refused something, at most; shorter than a lease. */
const REFUSING = 2_000;

/** Kills and restarts workers and servers, as the seed wants it, until it is over. */
export async function makeChaos(options: ChaosOptions, over: () => boolean): Promise<void> {
  const { nats, stream, workers, startWorker, folder, seed, interval, killWorkers, refuse, log } = options;
  using ledger = new LedgerFile<ChaosEntry>(folder, "chaos");
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  async function killWorker(place: number): Promise<ChaosEntry> {
    const { pid } = workers[place];
    const from = now();
    await workers[place].kill();
    workers[place] = startWorker();
    log(`worker ${pid} killed`);
    return { what: "worker_killed", pid, from, at: now() };
  }

  async function takeServerDown(how: "kill" | "stop"): Promise<ChaosEntry> {
    const server = "servers" in nats ? await leaderOf(nats, stream) : nats;
    const from = now();
    await server[how]();
    const at = now();
    if ("servers" in nats) await pause(WITHOUT_LEADER);
    await server.restart();
    if ("servers" in nats) await nats.ready();
    log(how === "kill" ? "server killed" : "server restarted");
    return { what: "server_down", how, from, at, back: now() };
  }

  for (let blow = 0;; blow++) {
    await pause(interval * (0.5 + random(seed, blow, 1)));
    if (over()) return;
    const from = now();
    const end = await refuse?.begin(blow);
    const worker = killWorkers && blow % 3 !== 2;
    const how = random(seed, blow, 3) < 0.6 ? "kill" : "stop";
    ledger.append(
      await (worker ? killWorker(Math.floor(random(seed, blow, 2) * workers.length)) : takeServerDown(how)),
    );
    if (!end) continue;
    await pause(REFUSING * random(seed, blow, 5));
    await end();
    // Ends of runs are stored late, but no lease is lost.
    ledger.append({ what: "outage", how: "slow", pid: null, from, at: now() });
  }
}
