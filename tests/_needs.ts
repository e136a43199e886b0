import { ServerVersion } from "../src/wire/server_version.ts";

/** The version of the nats-server that `NATS_SERVER` names; `null` where the tests choose one: then it is the newest. */
const CHOSEN = chosenVersion();

/**
 * Options of a test that needs a nats-server of at least this version (`major.minor`): with an older one, that `NATS_SERVER` names, it is ignored.
 *
 * @example
 * ```ts
 * Deno.test("JobQueue.schedule makes a tick each second", needs("2.14"), async () => {});
 * ```
 */
export function needs(version: string): { ignore: boolean } {
  return { ignore: CHOSEN !== null && !CHOSEN.atLeast(version) };
}

function chosenVersion(): ServerVersion | null {
  const program = Deno.env.get("NATS_SERVER");
  if (!program) return null;
  const { stdout } = new Deno.Command(program, { args: ["--version"] }).outputSync();
  const version = /\d+\.\d+\.\d+/.exec(new TextDecoder().decode(stdout))?.[0];
  if (!version) throw new Error(`${program} does not tell its version`);
  return new ServerVersion(version);
}
