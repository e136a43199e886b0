import type { NatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "./wait_until.ts";

/** Replaces a text in a server's configuration, makes the server read it again, and waits until it has. */
export async function reload(server: NatsServer, before: string, after: string): Promise<void> {
  const path = server.storeDir.replace(/store$/, "nats-server.conf");
  const config = await Deno.readTextFile(path);
  if (!config.includes(before)) throw new Error(`The configuration has no '${before}':\n${config}`);
  // A busy server may leave a look unanswered.
  const loadedAt = async () => (await server.monitor("/varz"))?.config_load_time;
  let last: unknown;
  await waitUntil(async () => (last = await loadedAt()) !== undefined);
  await Deno.writeTextFile(path, config.replace(before, after));
  Deno.kill(server.pid, "SIGHUP");
  await waitUntil(async () => ![last, undefined].includes(await loadedAt()));
}
