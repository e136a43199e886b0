import { startNatsServer } from "../../src/testing/mod.ts";
import { openStores } from "../_support/open_stores.ts";
import { type Run, run, start, type StartOptions } from "./_commands.ts";
import type { StartedCommand } from "./_start_command.ts";

/** Calls may take as long as a busy machine needs. */
const PATIENT = ["--timeout", "1m"];

/** A server with the command line pointed at it, and stores that see what it did. */
export async function startCli() {
  const server = await startNatsServer();
  const stores = openStores(server.url);
  const withServer = (options: StartOptions = {}) => ({
    ...options,
    env: { SUPERCHECK_NATS_URL: server.url, ...options.env },
  });
  return {
    server,
    stores,
    cli: (args: string[], options: StartOptions & { input?: string | Uint8Array } = {}): Promise<Run> =>
      run("main.ts", [...PATIENT, ...args], { ...options, ...withServer(options) }),
    start: (args: string[], options: StartOptions = {}): StartedCommand =>
      start("main.ts", [...PATIENT, ...args], withServer(options)),
    async [Symbol.asyncDispose]() {
      await stores.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The lines of JSON that a command printed. */
export function records({ stdout }: { stdout: string }): Record<string, unknown>[] {
  return stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}
