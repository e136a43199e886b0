import type { Direction } from "../_support/relay.ts";
import { type FaultTargets, type MakeFault, memberOf, noteOutage, pause } from "./_fault_targets.ts";
import type { Fault } from "./plan_faults.ts";

/** Faults of the way between a process and the servers. */
export const LINK_FAULTS = {
  cut_link: (fault, targets) => {
    const member = memberOf(fault, targets);
    targets.log(`cut the connections of ${member.name}`);
    for (const link of member.links) link.cut();
    return Promise.resolve();
  },
  half_close_link: async (fault, targets) => {
    const member = memberOf(fault, targets);
    const direction = directionOf(fault);
    targets.log(`half-close the connections of ${member.name}, ${direction}`);
    await Promise.all(member.links.map((link) => link.halfClose(direction)));
    await pause(fault.lasts);
    for (const link of member.links) link.cut();
  },
  hold_link: async (fault, targets) => {
    const member = memberOf(fault, targets);
    const direction = directionOf(fault);
    const cut = fault.way * 4 % 1 < 0.5;
    const end = cut ? "then cut" : "then release";
    targets.log(`hold what goes ${direction} to or from ${member.name} for ${fault.lasts} ms, ${end}`);
    for (const link of member.links) link.hold(direction);
    await noteOutage("unreachable", member, fault.lasts, targets);
    for (const link of member.links) {
      if (cut) link.cut();
      link.release(direction);
    }
  },
  delay_link: (fault, targets) => slow(fault, targets, { delay: 80, chunk: 65_536 }),
  throttle_link: (fault, targets) => slow(fault, targets, { delay: 20, chunk: 4_096 }),
} satisfies Record<string, MakeFault>;

function directionOf({ way }: Fault): Direction {
  return way < 0.5 ? "up" : "down";
}

async function slow(fault: Fault, targets: FaultTargets, link: { delay: number; chunk: number }): Promise<void> {
  const member = memberOf(fault, targets);
  const direction = directionOf(fault);
  targets.log(`let what goes ${direction} be slow for ${member.name} for ${fault.lasts} ms, ${JSON.stringify(link)}`);
  for (const relay of member.links) relay.slow(direction, link);
  await noteOutage("slow", member, fault.lasts, targets);
  for (const relay of member.links) relay.slow(direction, null);
}
