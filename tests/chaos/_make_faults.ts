import { type FaultTargets, type MakeFault, memberOf, pause } from "./_fault_targets.ts";
import { LINK_FAULTS } from "./_link_faults.ts";
import { PROCESS_FAULTS } from "./_process_faults.ts";
import { SERVER_FAULTS } from "./_server_faults.ts";
import { STREAM_FAULTS } from "./_stream_faults.ts";
import type { Fault } from "./plan_faults.ts";

const MAKE: Record<Fault["kind"], MakeFault> = {
  ...LINK_FAULTS,
  ...PROCESS_FAULTS,
  ...SERVER_FAULTS,
  ...STREAM_FAULTS,
};

/**
 * Does the faults at their times, at most one at a time to the servers and to each process.
 *
 * @param began The moment of `performance.now()` that the times count from.
 */
export async function makeFaults(faults: Fault[], targets: FaultTargets, began: number): Promise<void> {
  const busy = new Map<string, Promise<void>>();
  for (const fault of faults) {
    await pause(Math.max(0, began + fault.at - performance.now()));
    const place = placeOf(fault, targets);
    const before = busy.get(place) ?? Promise.resolve();
    busy.set(place, before.then(() => MAKE[fault.kind](fault, targets)));
  }
  await Promise.all(busy.values());
}

/** What two faults may not be done to at the same time. */
function placeOf(fault: Fault, targets: FaultTargets): string {
  const ofServers = fault.kind in SERVER_FAULTS || fault.kind in STREAM_FAULTS;
  return ofServers ? "servers" : memberOf(fault, targets).name;
}
