import type { NatsServer } from "../../src/testing/mod.ts";
import type { Direction } from "../healing/relay.ts";
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
type Make = (fault: Fault, targets: FaultTargets) => Promise<void>;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Does the faults at their times, at most one at a time to each server and each process.
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
  if (fault.kind.endsWith("_server")) return "servers";
  return memberOf(fault, targets).name;
}

function memberOf({ kind, target }: Fault, { members }: FaultTargets): Member {
  const role = kind.endsWith("_worker") ? "worker" : kind.endsWith("_client") ? "client" : null;
  const possible = members.filter((member) => role === null || member.role === role);
  return possible[Math.floor(target * possible.length)];
}

const MAKE: Record<Fault["kind"], Make> = {
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
  kill_server: (fault, targets) => takeDown(fault, targets, "kill"),
  restart_server: (fault, targets) => takeDown(fault, targets, "stop"),
  lame_duck_server: async (fault, targets) => {
    const server = serverOf(fault, targets);
    targets.log(`lame duck mode of ${server.name} for ${fault.lasts} ms, then kill`);
    const from = now();
    Deno.kill(server.pid, "SIGUSR2");
    await pause(fault.lasts);
    // JetStream has been shut down by then, and in this mode the server heeds no other signal.
    await server.kill();
    await bringBack(server, "stop", from, targets);
  },
  suspend_server: async (fault, targets) => {
    const server = serverOf(fault, targets);
    targets.log(`suspend ${server.name} for ${fault.lasts} ms`);
    const from = now();
    server.suspend();
    await pause(fault.lasts);
    server.resume();
    targets.ledger.append({ what: "outage", how: "unreachable", pid: null, from, at: now() });
  },
};

function directionOf({ way }: Fault): Direction {
  return way < 0.5 ? "up" : "down";
}

function serverOf({ target }: Fault, { servers }: FaultTargets): NatsServer {
  return servers[Math.floor(target * servers.length)];
}

async function slow(fault: Fault, targets: FaultTargets, link: { delay: number; chunk: number }): Promise<void> {
  const member = memberOf(fault, targets);
  const direction = directionOf(fault);
  targets.log(`let what goes ${direction} be slow for ${member.name} for ${fault.lasts} ms, ${JSON.stringify(link)}`);
  for (const relay of member.links) relay.slow(direction, link);
  await noteOutage("slow", member, fault.lasts, targets);
  for (const relay of member.links) relay.slow(direction, null);
}

async function suspend(fault: Fault, targets: FaultTargets): Promise<void> {
  const member = memberOf(fault, targets);
  targets.log(`suspend ${member.name} for ${fault.lasts} ms`);
  member.child.signal("SIGSTOP");
  await noteOutage("suspended", member, fault.lasts, targets);
  member.child.signal("SIGCONT");
}

async function noteOutage(
  how: "suspended" | "unreachable" | "slow",
  { child: { pid } }: Member,
  lasts: number,
  { ledger }: FaultTargets,
): Promise<void> {
  const from = now();
  await pause(lasts);
  ledger.append({ what: "outage", how, pid, from, at: now() });
}

async function takeDown(fault: Fault, targets: FaultTargets, how: "kill" | "stop"): Promise<void> {
  const server = serverOf(fault, targets);
  targets.log(`${how} ${server.name} for ${fault.lasts} ms`);
  const from = now();
  await server[how]();
  await bringBack(server, how, from, targets, fault.lasts);
}

/** Starts a server again that is down since now, after a while. */
async function bringBack(
  server: NatsServer,
  how: "kill" | "stop",
  from: number,
  { ready, ledger }: FaultTargets,
  after: number = 0,
): Promise<void> {
  const at = now();
  await pause(after);
  await server.restart();
  await ready();
  ledger.append({ what: "server_down", how, from, at, back: now() });
}
