import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { waitUntil } from "../_support/wait_until.ts";

Deno.test("KvBucket.keys lists the keys that have a value, once each", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("listed", { history: 5 });
  for (const key of ["a", "b", "a", "c", "d", "empty"]) await bucket.put(key, key === "empty" ? "" : "v");
  await bucket.delete("b");
  await bucket.purge("c");
  assertEquals(await Array.fromAsync(bucket.keys()), ["a", "d", "empty"]);
  await bucket.put("b", "back");
  const keys = bucket.keys();
  assertEquals(await Array.fromAsync(keys), ["a", "d", "empty", "b"]);
  // An iterable can be iterated again.
  assertEquals(await Array.fromAsync(keys), ["a", "d", "empty", "b"]);
});

Deno.test("KvBucket.keys takes filters with wildcards over encoded tokens", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("listed");
  for (const key of ["user.1.name", "user.2.name", "user.ü ü.name", "user.1", "users.1", "*.star", "a.>"]) {
    await bucket.put(key, key);
  }
  const list = async (filter: string) => (await Array.fromAsync(bucket.keys(filter))).sort();
  assertEquals(await list("user.*.name"), ["user.1.name", "user.2.name", "user.ü ü.name"]);
  assertEquals(await list("user.>"), ["user.1", "user.1.name", "user.2.name", "user.ü ü.name"]);
  assertEquals(await list("user.ü ü.*"), ["user.ü ü.name"]);
  assertEquals(await list("*.star"), ["*.star"]);
  assertEquals(await list("user.1"), ["user.1"]);
  assertEquals(await list("none.*"), []);
  assertEquals((await Array.fromAsync(bucket.entries("user.*"))).map((entry) => entry.text()), ["user.1"]);
});

Deno.test("KvBucket.entries lists the newest values", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("listed", { history: 5 });
  for (const [key, value] of [["a", "1"], ["b", "2"], ["a", "3"], ["c", "4"]]) await bucket.put(key, value);
  await bucket.delete("c");
  const entries = await Array.fromAsync(bucket.entries());
  assertEquals(entries.map(({ key, revision, operation }) => [key, revision, operation]), [["b", 2, "put"], [
    "a",
    3,
    "put",
  ]]);
  assertEquals(entries.map((entry) => entry.text()), ["2", "3"]);
});

Deno.test("KvBucket.history gives all revisions that are kept, deletions among them", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("listed", { history: 3 });
  await bucket.put("k", "1");
  await bucket.put("other", "v");
  await bucket.put("k", "2");
  await bucket.delete("k");
  await bucket.put("k", "3");
  const history = async () =>
    (await Array.fromAsync(bucket.history("k"))).map((entry) => [entry.operation, entry.text(), entry.revision]);
  assertEquals(await history(), [["put", "2", 3], ["delete", "", 4], ["put", "3", 5]]);
  await bucket.purge("k");
  assertEquals(await history(), [["purge", "", 6]]);
  await bucket.put("*", "v");
  assertEquals((await Array.fromAsync(bucket.history("*"))).length, 1);
});

Deno.test("KvBucket.history reads what does not fit one answer, also where direct get is off", async () => {
  await using server = await startNatsServer();
  await using admin = new KvStores({ servers: server.url });
  for (const allow_direct of [true, false]) {
    const name = `long${allow_direct}`;
    await admin.createStream({
      name: `KV_${name}`,
      subjects: [`$KV.${name}.>`],
      max_msgs_per_subject: 150,
      allow_direct,
    });
    for (let i = 0; i < 160; i++) {
      await admin.publish(`$KV.${name}.k`, `${i}`);
      await admin.publish(`$KV.${name}.l`, "other");
    }
    const values = (await Array.fromAsync(admin.kvBucket(name).history("k"))).map((entry) => entry.text());
    assertEquals(values, Array.from({ length: 150 }, (_, i) => `${i + 10}`));
    assertEquals(await admin.consumers(name), []);
  }
});

Deno.test("KvBucket lists 100 000 keys, and leaves no consumer behind", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("huge", { storage: "memory" });
  const count = 100_000;
  for (let i = 0; i < count; i += 2_000) {
    await Promise.all(Array.from({ length: 2_000 }, (_, j) => bucket.put(`key.${i + j}`, `value ${i + j}`)));
  }
  await bucket.delete("key.500");
  const keys = new Set(await Array.fromAsync(bucket.keys()));
  assertEquals(keys.size, count - 1);
  assertEquals([keys.has("key.0"), keys.has("key.500"), keys.has(`key.${count - 1}`)], [true, false, true]);
  let entries = 0;
  for await (const entry of bucket.entries()) if (entry.text().startsWith("value ")) entries++;
  assertEquals(entries, count - 1);
  assertEquals(await stores.consumers("huge"), []);
});

Deno.test("KvBucket leaves no consumer behind when a list is left early", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("listed");
  for (let i = 0; i < 1_000; i++) await bucket.put(`k${i}`, "v");
  for await (const _key of bucket.keys()) break;
  await assertRejects(
    async () => {
      for await (const _entry of bucket.entries()) throw new Error("enough");
    },
    Error,
    "enough",
  );
  assertEquals(await stores.consumers("listed"), []);
});

Deno.test("KvBucket lists break off with an error, never silently", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await using other = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("broken", { storage: "memory" });
  const value = "x".repeat(10_000);
  await Promise.all(Array.from({ length: 6_000 }, (_, i) => bucket.put(`k${i}`, value)));
  // So large that flow control holds the rest back while the first entry is looked at.
  for (const end of [() => other.api("STREAM.DELETE.KV_broken"), () => server.kill()]) {
    const error = await assertRejects(
      async () => {
        let ended = false;
        for await (const _entry of bucket.entries()) {
          if (!ended) await end();
          ended = true;
        }
      },
      JetStreamStoreError,
      'The bucket "broken" could not be listed completely',
    );
    assertEquals(error.code, "disconnected");
    await server.restart();
    await waitUntil(async () => await bucket.put("k0", value) !== null);
    await Promise.all(Array.from({ length: 6_000 }, (_, i) => bucket.put(`k${i}`, value)));
  }
});

Deno.test("KvBucket.keys misses no key while others are written", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("busy");
  const keys = Array.from({ length: 2_000 }, (_, i) => `k${i}`);
  await Promise.all(keys.map((key) => bucket.put(key, "v")));
  let writing = true;
  const writers = Array.from({ length: 4 }, async () => {
    while (writing && await bucket.put(keys[Math.floor(Math.random() * keys.length)], "w"));
  });
  try {
    for (let round = 0; round < 20; round++) {
      assertEquals((await Array.fromAsync(bucket.keys())).length, keys.length);
      assertEquals(new Set((await Array.fromAsync(bucket.entries())).map(({ key }) => key)).size, keys.length);
    }
  } finally {
    writing = false;
    await Promise.all(writers);
  }
});

Deno.test("KvBucket.entries misses no key that is written again, after a new one, before its turn comes", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("moved", { storage: "memory" });
  const value = "x".repeat(10_000);
  await Promise.all(Array.from({ length: 3_000 }, (_, i) => bucket.put(`k${i}`, value)));
  await bucket.put("last", value);
  const listed = new Set<string>();
  for await (const { key } of bucket.entries()) {
    // So large that flow control holds the rest back while the first entry is looked at.
    if (listed.size === 0) {
      await bucket.put("new", value);
      await bucket.put("last", value);
    }
    listed.add(key);
  }
  assertEquals([listed.delete("new"), listed.has("last"), listed.size], [true, true, 3_001]);
});
