import { checkLedger, type Verdict } from "../ledger/check_ledger.ts";
import { type ChaosEntry, type Entry, readLedgers } from "../ledger/ledger_file.ts";
import { ChaosRun, type ChaosRunOptions, CONCURRENCY, LEASE, TICK_INTERVAL } from "./_chaos_run.ts";
import { checkStores } from "./check_stores.ts";
import { checkTicks } from "./check_ticks.ts";
import type { StoreNote } from "./store_notes.ts";
import type { TickNote } from "./tick_notes.ts";

/** What came of it. */
export interface ChaosResult {
  violations: string[];
  doubles: Verdict["doubles"];
  counts: Record<string, number>;
}

/** Runs producers, workers and store clients, makes faults meanwhile, and compares what all of them noted. */
export async function runChaos(options: ChaosRunOptions): Promise<ChaosResult> {
  await using run = await ChaosRun.start(options);
  const faults = await run.makeFaults();
  const violations = await run.settle();
  const { deadLetters, untrue, ...stored } = await run.observe();
  violations.push(...untrue, ...await run.checkServers());

  const entries = readLedgers(run.folders.jobs);
  const notes = readLedgers<StoreNote>(run.folders.stores);
  const ticks = readLedgers<TickNote>(run.folders.ticks);
  const replicated = options.replicas > 1;
  const { slack } = run;
  const jobs = checkLedger({
    entries,
    deadLetters,
    concurrency: CONCURRENCY,
    replicated,
    lease: LEASE,
    slack,
    large: true,
  });
  violations.push(...jobs.violations, ...checkStores({ ...stored, notes, chaos: entries.filter(isChaos) }));
  violations.push(...checkTicks({ ticks, interval: TICK_INTERVAL, ...run.quiet }));
  if (violations.length > 0) run.keepNotes();
  const counts = {
    ...jobs.counts,
    "faults": faults.length,
    "ticks": ticks.length,
    "writes": notes.filter(({ what }) => what === "write").length,
    "reads": notes.filter(({ what }) => what === "read").length,
    "increments": [...stored.counters.values()].reduce((sum, { total }) => sum + total, 0),
    "locks": notes.filter(({ what }) => what === "held").length,
    "log lines": notes.filter(({ what }) => what === "log").length,
    "orphaned chunks": await run.orphanedChunks(),
    "slack (ms)": Math.round(slack),
  };
  return { violations, doubles: jobs.doubles, counts };
}

const CHAOS = ["outage", "worker_killed", "server_down", "deliveries_forgotten", "refusing"];

function isChaos(entry: Entry): entry is ChaosEntry {
  return CHAOS.includes(entry.what);
}
