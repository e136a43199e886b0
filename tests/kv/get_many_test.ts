import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";

Deno.test("KvBucket.getMany gives the values of the keys that have one", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("many", { history: 3 });
  await bucket.put("a", "old");
  const revision = await bucket.put("a", "new");
  await bucket.put("b c", "v");
  await bucket.put("deleted", "v");
  await bucket.delete("deleted");
  const entries = (await bucket.getMany(["a", "b c", "a", "deleted", "none"]))!;
  assertEquals([...entries.keys()].sort(), ["a", "b c"]);
  const a = entries.get("a")!;
  assertEquals([a.key, a.text(), a.revision, a.operation], ["a", "new", revision, "put"]);
  assertEquals(entries.get("b c")?.key, "b c");
  assertEquals(await bucket.getMany([]), new Map());
});

Deno.test("KvBucket.getMany reads more keys than one request takes", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("many");
  const keys = Array.from({ length: 2_500 }, (_, i) => `${"long-".repeat(200)}${i}`);
  await Promise.all(keys.map((key, i) => bucket.put(key, `${i}`)));
  // 2500 keys of 1 KB exceed the 1000 subjects and the 1 MiB of a request.
  const entries = (await bucket.getMany(keys))!;
  assertEquals(keys.map((key) => entries.get(key)?.text()), keys.map((_, i) => `${i}`));
  assertEquals(await stores.consumers("many"), []);
});

Deno.test("KvBucket.getMany continues where the server cuts a reply short", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("large");
  const value = new Uint8Array(200_000).fill(7);
  const keys = Array.from({ length: 400 }, (_, i) => `k${i}`);
  await Promise.all(keys.map((key) => bucket.put(key, value)));
  // 80 MB, in many answers.
  const entries = (await bucket.getMany(keys))!;
  assertEquals(entries.size, 400);
  assertEquals([...entries.values()].every((entry) => entry.value.length === 200_000), true);
});

Deno.test("KvBucket.getMany asks for no more than the server keeps for a connection, also several at once", async () => {
  await using server = await startNatsServer({ config: "max_pending: 16000000" });
  await using stores = new KvStores({ servers: server.url });
  const value = new Uint8Array(200_000).fill(7);
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
  for (const allow_direct of [true, false]) {
    const name = `large_${allow_direct}`;
    const subjects = [`$KV.${name}.>`];
    await stores.createStream({
      name: `KV_${name}`,
      subjects,
      max_msgs_per_subject: 1,
      storage: "memory",
      allow_direct,
    });
    const bucket = stores.kvBucket(name);
    for (let i = 0; i < 100; i += 20) {
      await Promise.all(keys.slice(i, i + 20).map((key) => bucket.put(key, value)));
    }
    const found = await Promise.all([1, 2].map(() => bucket.getMany(keys)));
    assertEquals(found.map((entries) => entries?.size), [100, 100]);
  }
  assertEquals(stores.connectionCounters().disconnects, 0);
});
