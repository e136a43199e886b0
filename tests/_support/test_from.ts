import { ServerVersion } from "../../src/connection/server_version.ts";

/** The version of the nats-server that `NATS_SERVER` names; `null` where the tests choose one: then it is the newest. */
const CHOSEN = chosenVersion();

/**
 * Registers tests that need a nats-server of at least this version (`major.minor`): with an older one, that `NATS_SERVER` names, they are ignored.
 * `testFrom("2.14")` stands in for `Deno.test`.
 */
export function testFrom(version: string): (name: string, fn: (context: Deno.TestContext) => Promise<void>) => void {
  const ignore = lacks(version);
  return (name, fn) => Deno.test({ name: ignore ? `${name} (needs nats-server ${version})` : name, ignore, fn });
}

/** Whether the nats-server that `NATS_SERVER` names is older than this version. */
export function lacks(version: string): boolean {
  return CHOSEN !== null && !CHOSEN.atLeast(version);
}

function chosenVersion(): ServerVersion | null {
  const program = Deno.env.get("NATS_SERVER");
  if (!program) return null;
  const { stdout } = new Deno.Command(program, { args: ["--version"] }).outputSync();
  const version = /\d+\.\d+\.\d+/.exec(new TextDecoder().decode(stdout))?.[0];
  if (!version) throw new Error(`${program} does not tell its version`);
  return new ServerVersion(version);
}
