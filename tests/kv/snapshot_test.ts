import { assert, assertEquals, assertRejects } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import type { KvBucket } from "../../mod.ts";
import { KvStores } from "../_support/kv_stores.ts";

const NAMES = Array.from({ length: 50 }, (_, i) => `key.${i}`);

/** The different values of a snapshot. */
async function valuesOf(bucket: KvBucket): Promise<string[]> {
  const entries = (await bucket.getMany(NAMES, { snapshot: true }))!;
  assertEquals(entries.size, NAMES.length);
  return [...new Set(Array.from(entries.values(), (entry) => entry.text()))];
}

/** Writes all keys together, again and again, while something goes on. */
async function whileWritten(bucket: KvBucket, work: () => Promise<void>): Promise<number> {
  let [writes, isOver] = [0, false];
  const writeAll = async () => {
    const transaction = bucket.atomic();
    for (const name of NAMES) transaction.put(name, `${writes}`);
    assertEquals((await transaction.commit())?.ok, true);
    writes++;
  };
  await writeAll();
  const writing = (async () => {
    while (!isOver) await writeAll();
  })();
  await work().finally(() => isOver = true);
  await writing;
  return writes;
}

Deno.test("KvBucket.getMany with snapshot gives values of one moment while they are written together", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: server.url });
  const writes = await whileWritten(stores.kvBucket("busy"), async () => {
    for (let i = 0; i < 50; i++) assertEquals((await valuesOf(others.kvBucket("busy"))).length, 1);
  });
  assert(writes > 1);
});

Deno.test("KvBucket.getMany with snapshot gives values of one moment from three replicas, and what was confirmed before", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using stores = new KvStores({ servers: cluster.urls });
  await using others = new KvStores({ servers: cluster.urls });
  const [bucket, other] = [stores.kvBucket("busy", { replicas: 3 }), others.kvBucket("busy", { replicas: 3 })];
  await whileWritten(bucket, async () => {
    for (let i = 0; i < 50; i++) assertEquals((await valuesOf(other)).length, 1);
  });
  for (let i = 0; i < 50; i++) {
    await bucket.put("key.0", `confirmed ${i}`);
    const entries = await other.getMany(["key.0", "none"], { snapshot: true });
    assertEquals([entries?.size, entries?.get("key.0")?.text()], [1, `confirmed ${i}`]);
  }
});

Deno.test("KvBucket.getMany with snapshot reads many keys and large values in several requests, and leaves out what is not there", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("many");
  assertEquals(await bucket.getMany(["a"], { snapshot: true }), new Map());
  const names = Array.from({ length: 2_500 }, (_, i) => `k${i}`);
  await Promise.all(names.map((name) => bucket.put(name, name)));
  await Promise.all(names.slice(0, 10).map((name) => bucket.put(name, name.padEnd(700_000))));
  await bucket.delete("k7");
  const entries = (await bucket.getMany([...names, "none"], { snapshot: true }))!;
  assertEquals([entries.size, entries.has("k7"), entries.has("none")], [2_499, false, false]);
  for (const name of names) if (name !== "k7") assertEquals(entries.get(name)?.text().trim(), name);
});

Deno.test("KvBucket.getMany with snapshot reads a mirror, and the keys of other clients", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("origin");
  await bucket.put("a", "1");
  await stores.publish("$KV.origin.=foreign", "2");
  assertEquals((await bucket.getMany(["a", "=foreign"], { snapshot: true }))?.get("=foreign")?.text(), "2");
  const mirror = { name: "KV_origin" };
  await stores.createStream({
    name: "KV_copy",
    mirror,
    max_msgs_per_subject: 1,
    allow_direct: true,
    mirror_direct: false,
  });
  const copy = stores.kvBucket("copy");
  let entries = await copy.getMany(["a"], { snapshot: true });
  for (const until = performance.now() + 20_000; entries?.size !== 1 && performance.now() < until;) {
    entries = await stores.kvBucket("copy").getMany(["a"], { snapshot: true });
  }
  assertEquals(entries?.get("a")?.text(), "1");
});

Deno.test("KvBucket.getMany with snapshot says that it needs direct gets", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("indirect");
  await bucket.put("a", "1");
  await stores.api("STREAM.UPDATE.KV_indirect", { ...await stores.config("indirect"), allow_direct: false });
  await assertRejects(() => bucket.getMany(["a"], { snapshot: true }), Error, "allow_direct");
  assertEquals((await bucket.getMany(["a"]))?.size, 1);
});
