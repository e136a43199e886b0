import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import type { ObjectBucket } from "../../src/object/object_bucket.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { suspend } from "../_support/suspend.ts";
import { ObjectServer, randomBytes } from "./_object_server.ts";

/** @param watches Whether watches throw, too: they wait for an answer as long as it takes. */
async function assertAllNull(bucket: ObjectBucket, watches = true): Promise<void> {
  const calls = [
    bucket.put("a", "x"),
    bucket.put("large", randomBytes(300_000)),
    bucket.putStream("a", new Blob(["x"]).stream()),
    bucket.get("a"),
    bucket.getText("a"),
    bucket.getStream("a"),
    bucket.info("a"),
    bucket.delete("a"),
    bucket.status(),
    bucket.destroy(),
  ];
  assertEquals(await Promise.all(calls), calls.map(() => null));
  for (const list of watches ? [bucket.list(), bucket.watch()] : [bucket.list()]) {
    const error = await assertRejects(() => Array.fromAsync(list), JetStreamStoreError);
    assertEquals(error.code, "disconnected");
  }
}

Deno.test("ObjectBucket gives null, and its lists throw, without a server", async () => {
  await using server = await ObjectServer.start({}, { servers: undefined });
  await assertAllNull(server.bucket("none"));
});

Deno.test("ObjectBucket returns null at once while the server is down, and works after the reconnect", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("away");
  await bucket.put("a", "x");
  await server.server.kill();
  assertEquals(await bucket.get("a"), null);
  const since = performance.now();
  await assertAllNull(bucket);
  assertLess(performance.now() - since, 4_000);
  await server.server.restart();
  await waitUntil(async () => await bucket.getText("a") === "x");
});

Deno.test("ObjectBucket gives null within its deadline while the server does not answer", async () => {
  await using server = await ObjectServer.start({}, { timeout: 400 });
  const bucket = server.bucket("silent");
  await bucket.put("a", "x");
  await suspend(server.server);
  const since = performance.now();
  await assertAllNull(bucket, false);
  // The list waits after the calls.
  assertLess(performance.now() - since, 2 * 400 + 3_000);
  server.server.resume();
});

Deno.test("ObjectBucket.put that is unconfirmed has stored the object whole, or not at all", async () => {
  await using server = await ObjectServer.start({}, { timeout: 300 });
  await using patient = new ObjectServer.Stores(server.server.url);
  const bucket = server.bucket("whole");
  const [before, after] = [randomBytes(1_000), randomBytes(1_000)];
  for (let round = 0; round < 3; round++) {
    // On a busy machine a call can end before it has stored anything.
    await waitUntil(async () => await bucket.put("a", before) !== null);
    await suspend(server.server);
    const told = await bucket.put("a", after);
    server.server.resume();
    // Confirmed by the same server after all that was sent before.
    await waitUntil(async () => await bucket.put("other", "x") !== null);
    const got = String(await patient.objectBucket("whole").get("a"));
    // A server that is told to stop may still have answered.
    if (told || got !== String(before)) assertEquals(got, String(after));
    await server.assertClean("whole");
  }
});
