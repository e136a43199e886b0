import type { NatsServer } from "../../src/testing/mod.ts";
import { type ChaosEntry, type LedgerFile, now } from "../ledger/ledger_file.ts";
import type { Member } from "./_members.ts";
import type { Fault } from "./plan_faults.ts";

/** What faults are done to. */
export interface FaultTargets {
  members: Member[];
  servers: readonly NatsServer[];
  /** Waits until the servers answer again after one of them was down. */
  ready: () => Promise<void>;
  /** Where they are noted. */
  ledger: LedgerFile<ChaosEntry>;
  log: (line: string) => void;
}

/** Does one fault, and ends it. */
export type MakeFault = (fault: Fault, targets: FaultTargets) => Promise<void>;

/** Waits, in milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The process that a fault is done to, or on whose link. */
export function memberOf({ kind, target }: Fault, { members }: FaultTargets): Member {
  const role = kind.endsWith("_worker") ? "worker" : kind.endsWith("_client") ? "client" : null;
  const possible = members.filter((member) => role === null || member.role === role);
  return possible[Math.floor(target * possible.length)];
}

/** The server that a fault is done to. */
export function serverOf({ target }: Fault, { servers }: FaultTargets): NatsServer {
  return servers[Math.floor(target * servers.length)];
}

/** Waits until an outage of a process is over, and notes it. */
export async function noteOutage(
  how: "suspended" | "unreachable" | "slow",
  { child: { pid } }: Member,
  lasts: number,
  { ledger }: FaultTargets,
): Promise<void> {
  const from = now();
  await pause(lasts);
  ledger.append({ what: "outage", how, pid, from, at: now() });
}
