import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { ObjectServer } from "./_object_server.ts";

Deno.test("ObjectBucket logs a removal of orphaned chunks that fails, and makes it again after the next write", async () => {
  await using server = await ObjectServer.over(await startNatsServer());
  await using proxy = new Proxy(server.server.url);
  const log: string[] = [];
  const take = (message: string) => void log.push(message);
  const logger = { info: take, warn: take, error: take };
  await using stores = new ObjectServer.Stores(proxy.url, { timeout: 500, logger });
  const bucket = stores.objectBucket("failing");
  // On a busy machine a call can end before it has stored anything.
  const put = (name: string, text: string) => waitUntil(async () => await bucket.put(name, text) !== null);
  await put("one", "first");
  let removals = 0;
  proxy.tampering.lose = (subject) => {
    if (subject.startsWith("$JS.API.STREAM.PURGE")) removals++;
    return false;
  };
  // A reply that cannot be read, until the deadline.
  proxy.tampering.change = (_subject, payload) => payload.includes("stream_purge_response") ? "}{" : undefined;
  await put("one", "second");
  await waitUntil(() => log.some((line) => line.includes("keeps orphaned chunks")));
  const failed = removals;
  proxy.tampering.change = undefined;
  await put("two", "third");
  await waitUntil(() => removals > failed);
  await server.assertClean("failing");
  assertEquals(log.filter((line) => line.includes("keeps orphaned chunks")).length, 1);
});
