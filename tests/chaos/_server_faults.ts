import type { NatsServer } from "../../src/testing/mod.ts";
import { now } from "../ledger/ledger_file.ts";
import { type FaultTargets, type MakeFault, pause, serverOf } from "./_fault_targets.ts";

/** Faults of servers. */
export const SERVER_FAULTS = {
  kill_server: (fault, targets) => takeDown(serverOf(fault, targets), fault.lasts, targets, "kill"),
  restart_server: (fault, targets) => takeDown(serverOf(fault, targets), fault.lasts, targets, "stop"),
  rolling_restart: async (fault, targets) => {
    for (const server of targets.servers) await takeDown(server, fault.lasts, targets, "stop");
  },
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
} satisfies Record<string, MakeFault>;

async function takeDown(server: NatsServer, lasts: number, targets: FaultTargets, how: "kill" | "stop"): Promise<void> {
  targets.log(`${how} ${server.name} for ${lasts} ms`);
  const from = now();
  await server[how]();
  await bringBack(server, how, from, targets, lasts);
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
