import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import type { KvBucket } from "../../src/kv/kv_bucket.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { suspend } from "../_support/suspend.ts";
import { KvStores } from "../_support/kv_stores.ts";

async function assertAllNull(bucket: KvBucket): Promise<void> {
  assertEquals(await bucket.get("k"), null);
  assertEquals(await bucket.getMany(["k"]), null);
  assertEquals(await bucket.put("k", "v"), null);
  assertEquals(await bucket.put("k", "v", { ttl: 1_000 }), null);
  assertEquals(await bucket.create("k", "v"), null);
  assertEquals(await bucket.update("k", "v", 1), null);
  assertEquals(await bucket.delete("k"), null);
  assertEquals(await bucket.purge("k"), null);
  assertEquals(await bucket.status(), null);
  assertEquals(await bucket.destroy(), null);
  for (const list of [bucket.keys(), bucket.entries(), bucket.history("k"), bucket.watch()]) {
    const error = await assertRejects(() => Array.fromAsync<unknown>(list), JetStreamStoreError);
    assertEquals(error.code, "disconnected");
  }
}

Deno.test("KvBucket gives null, and its lists throw, without a server", async () => {
  await using stores = new KvStores();
  await assertAllNull(stores.kvBucket("none"));
  await assertAllNull(stores.kvBucket("none", { cache: true }));
});

Deno.test("KvBucket returns null at once while the server is down", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("away");
  await bucket.put("k", "v");
  await server.kill();
  assertEquals(await bucket.get("k"), null);
  const start = performance.now();
  await assertAllNull(bucket);
  assertLess(performance.now() - start, 4_000);
  await server.restart();
  while (await bucket.put("k", "w") === null) await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals((await bucket.get("k"))?.text(), "w");
});

Deno.test("KvBucket gives null within its deadline when the server does not answer", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url, timeout: 300 });
  const bucket = stores.kvBucket("silent");
  await bucket.put("k", "v");
  await suspend(server);
  const calls = [
    () => bucket.get("k"),
    () => bucket.getMany(["k"]),
    () => bucket.put("k", "v"),
    () => bucket.put("k", "v", { ttl: 1_000 }),
    () => bucket.create("k", "v"),
    () => bucket.update("k", "v", 1),
    () => bucket.delete("k"),
    () => bucket.purge("k"),
    () => bucket.status(),
    () => bucket.destroy(),
  ];
  const results = await Promise.all(calls.map(async (call) => {
    const start = performance.now();
    return [await call(), performance.now() - start < 4_000];
  }));
  assertEquals(results, calls.map(() => [null, true]));
  for (const list of [bucket.keys(), bucket.entries(), bucket.history("k")]) {
    const start = performance.now();
    await assertRejects(
      () => Array.fromAsync<unknown>(list),
      JetStreamStoreError,
      "cannot be read without a connection",
    );
    assertLess(performance.now() - start, 4_000);
  }
  server.resume();
});
