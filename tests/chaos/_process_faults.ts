import { now } from "../ledger/ledger_file.ts";
import { type FaultTargets, type MakeFault, memberOf, noteOutage } from "./_fault_targets.ts";
import type { Fault } from "./plan_faults.ts";

/** Faults of processes. */
export const PROCESS_FAULTS = {
  suspend_worker: suspend,
  suspend_client: suspend,
  kill_worker: async (fault, targets) => {
    const member = memberOf(fault, targets);
    const { pid } = member.child;
    targets.log(`kill ${member.name}, process ${pid}`);
    const from = now();
    await member.replace();
    targets.ledger.append({ what: "worker_killed", pid, from, at: now() });
  },
} satisfies Record<string, MakeFault>;

async function suspend(fault: Fault, targets: FaultTargets): Promise<void> {
  const member = memberOf(fault, targets);
  targets.log(`suspend ${member.name} for ${fault.lasts} ms`);
  member.child.signal("SIGSTOP");
  await noteOutage("suspended", member, fault.lasts, targets);
  member.child.signal("SIGCONT");
}
