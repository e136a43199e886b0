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

/** When faults are made, by `performance.now()`. */
interface FaultTime {
  /** The moment that their times count from. */
  began: number;
  /** The moment after which none begins any more: a busy machine may not get to all of them. */
  until: number;
}

/** Does the faults at their times, at most one at a time to the servers and to each process. Returns those that it got to. */
export async function makeFaults(
  faults: Fault[],
  targets: FaultTargets,
  { began, until }: FaultTime,
): Promise<Fault[]> {
  const made: Fault[] = [];
  const make = async (fault: Fault) => {
    if (performance.now() > until) return;
    made.push(fault);
    await MAKE[fault.kind](fault, targets);
  };
  const busy = new Map<string, Promise<void>>();
  for (const fault of faults) {
    await pause(Math.max(0, began + fault.at - performance.now()));
    const place = placeOf(fault, targets);
    const before = busy.get(place) ?? Promise.resolve();
    busy.set(place, before.then(() => make(fault)));
  }
  await Promise.all(busy.values());
  return made;
}

/** What two faults may not be done to at the same time. */
function placeOf(fault: Fault, targets: FaultTargets): string {
  const ofServers = fault.kind in SERVER_FAULTS || fault.kind in STREAM_FAULTS;
  return ofServers ? "servers" : memberOf(fault, targets).name;
}
