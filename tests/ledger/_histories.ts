import type { ChaosEntry, Entry, Outage, PublishEntry, RunEntry } from "./ledger_file.ts";
import { isPublish } from "./plan.ts";

/** One run of a job in a worker. */
export interface Run extends Omit<RunEntry, "what" | "at"> {
  start: number;
  /** When its effect was there. */
  effect: number | null;
  /** When its handler returned, or threw. */
  over: number | null;
  /** Whether it threw. */
  thrown: boolean;
}

/** A call of cancel. */
export interface Cancel {
  /** When its answer was there. */
  answered: number;
  result: boolean | null;
}

/** All that the ledgers say of one job. */
export interface History {
  id: string;
  publishes: Extract<PublishEntry, { what: "publish" }>[];
  /** When its producer had a receipt, or `null`. */
  confirmed: number | null;
  /** By their starts. */
  runs: Run[];
  cancels: Cancel[];
  /** Changes that were made for certain. */
  changes: Extract<PublishEntry, { what: "changed" }>[];
  /** When the first change was called that may have been made. */
  changedFrom: number;
  /** How often it was published anew in place of itself, or may have been. */
  replaces: number;
}

/** What was done to workers and servers. */
export interface Blows {
  workersKilled: Extract<ChaosEntry, { what: "worker_killed" }>[];
  /** By their beginnings. */
  serversDown: Extract<ChaosEntry, { what: "server_down" }>[];
  /** By their beginnings. */
  outages: Outage[];
  forgotten: Extract<ChaosEntry, { what: "deliveries_forgotten" }>[];
}

/** Sorts the entries of all ledgers by jobs. */
export function readHistories(entries: Entry[]): { histories: Map<string, History>; blows: Blows } {
  const histories = new Map<string, History>();
  const blows: Blows = { workersKilled: [], serversDown: [], outages: [], forgotten: [] };
  const runs = new Map<string, Run>();
  // In the order of their times: an effect comes after its start, whichever file was read first.
  for (const entry of entries.toSorted((a, b) => timeOf(a) - timeOf(b))) {
    if (entry.what === "worker_killed") blows.workersKilled.push(entry);
    else if (entry.what === "server_down") blows.serversDown.push(entry);
    else if (entry.what === "outage") blows.outages.push(entry);
    else if (entry.what === "deliveries_forgotten") blows.forgotten.push(entry);
    else if (entry.what !== "refusing") {
      let history = histories.get(entry.id);
      if (!history) {
        history = newHistory(entry.id);
        histories.set(entry.id, history);
      }
      note(history, entry, runs);
    }
  }
  return { histories, blows };
}

function newHistory(id: string): History {
  return { id, publishes: [], confirmed: null, runs: [], cancels: [], changes: [], changedFrom: Infinity, replaces: 0 };
}

function note(history: History, entry: PublishEntry | RunEntry, runs: Map<string, Run>): void {
  switch (entry.what) {
    case "publish":
      history.publishes.push(entry);
      break;
    case "receipt":
      history.confirmed ??= entry.at;
      break;
    case "unconfirmed":
    case "cancel":
      break;
    case "cancelled":
      history.cancels.push({ answered: entry.at, result: entry.result });
      break;
    case "changed":
      if (entry.result) history.changes.push(entry);
      if (entry.result !== false) history.changedFrom = Math.min(history.changedFrom, entry.at);
      if (isPublish(entry.how)) history.replaces++;
      break;
    default: {
      const { what, at, ...rest } = entry;
      const name = `${entry.pid}/${entry.run}`;
      if (what === "start") {
        const run: Run = { ...rest, start: at, effect: null, over: null, thrown: false };
        runs.set(name, run);
        history.runs.push(run);
        return;
      }
      const run = runs.get(name);
      if (!run) throw new Error(`The ledger of process ${entry.pid} has no start of run ${entry.run}`);
      if (what === "effect") run.effect = at;
      else run.over = at;
      if (what === "thrown") run.thrown = true;
    }
  }
}

function timeOf(entry: Entry): number {
  return "from" in entry ? entry.from : entry.at;
}
