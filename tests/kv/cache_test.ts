import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { inSync } from "../_support/in_sync.ts";
import { startProcess } from "../_support/start_process.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";

/** Counts the direct gets that reach the server. */
async function countReads(stores: KvStores): Promise<{ count: () => number; stop: () => void }> {
  let count = 0;
  const stop = await stores.listen("$JS.API.DIRECT.GET.>", () => count++);
  return { count: () => count, stop };
}

Deno.test("KvBucket with a cache answers from memory", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using stores = new KvStores({ servers: server.url });
  const writer = other.kvBucket("cached");
  for (let i = 0; i < 100; i++) await writer.put(`k${i}`, `v${i}`);
  await writer.delete("k1");
  const bucket = stores.kvBucket("cached", { cache: true });
  assertEquals((await bucket.get("k7"))?.text(), "v7");
  await inSync(bucket);
  const reads = await countReads(other);
  for (let i = 0; i < 10_000; i++) await bucket.get(`k${i % 100}`);
  const entry = (await bucket.get("k7"))!;
  assertEquals([entry.key, entry.text(), entry.revision, entry.operation], ["k7", "v7", 8, "put"]);
  assert(Math.abs(entry.created.getTime() - Date.now()) < 10_000);
  assertEquals([await bucket.get("k1"), await bucket.get("none")], [null, null]);
  assertEquals((await bucket.getMany(["k1", "k2", "k3", "none"]))?.size, 2);
  // What the caller does to its value is its own affair.
  entry.value.fill(0);
  assertEquals((await bucket.get("k7"))?.text(), "v7");
  await other.api("STREAM.NAMES");
  assertEquals(reads.count(), 0);
  reads.stop();
});

Deno.test("KvBucket with a cache sees what others write, delete and purge", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using stores = new KvStores({ servers: server.url });
  const writer = other.kvBucket("cached");
  await writer.put("k", "1");
  const bucket = stores.kvBucket("cached", { cache: true });
  await inSync(bucket);
  const becomes = (text: string | undefined) => waitUntil(async () => (await bucket.get("k"))?.text() === text);
  await writer.put("k", "2");
  await becomes("2");
  await writer.delete("k");
  await becomes(undefined);
  await writer.put("k", "");
  await becomes("");
  await writer.purge("k");
  await becomes(undefined);
  await other.publish("$KV.cached.k", "3");
  await becomes("3");
});

Deno.test("KvBucket with a cache reads its own writes, whatever else happens", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("cached", { cache: true });
  await bucket.put("probe", "");
  await inSync(bucket);
  const cutting = setInterval(() => stores.connectionStatus() === "connected" && proxy.cut(), 400);
  const noise = other.kvBucket("cached");
  const stale: string[] = [];
  let checked = 0;
  const deadline = performance.now() + 120_000;
  const enough = () => checked >= 400 && stores.connectionCounters().connects >= 4;
  const client = async (id: number) => {
    const key = `own ${id}`;
    for (let n = 0, newest = 0; !enough() && performance.now() < deadline; n++) {
      const deletes = n % 5 === 4;
      const revision = deletes ? await bucket.delete(key) : await bucket.put(key, `${n}`);
      if (id === 0) await noise.put("noise", `${n}`);
      if (typeof revision === "number") newest = revision;
      // Not confirmed, so either may be there; and without a connection null says nothing.
      if (revision === null) await new Promise((resolve) => setTimeout(resolve, 5));
      const read = revision === null ? null : await bucket.get(key);
      if (revision === null || stores.connectionStatus() !== "connected") continue;
      checked++;
      const fresh = deletes ? read === null || read.revision > newest : read !== null && read.revision >= newest;
      if (!fresh) stale.push(`${key}: ${read?.text()} of revision ${read?.revision} instead of ${n} of ${newest}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, id) => client(id)));
  clearInterval(cutting);
  assert(enough(), `${checked} reads`);
  assertEquals(stale, []);
});

Deno.test("KvBucket with a cache reads its own write though the watch does not bring it", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("cached", { cache: true });
  await bucket.put("k", "old");
  await inSync(bucket);
  let written: Promise<number | null> | undefined;
  const dropped = new Set<string>();
  proxy.tampering.drop = (subject, payload) => {
    if (subject !== "$KV.cached.k") return false;
    // The mirror has all that was there when it begins anew, and the watch does not bring what is written from now on.
    if (payload.includes("old")) written ??= bucket.put("k", "new");
    return payload.includes("new") && dropped.size < dropped.add(payload).size;
  };
  proxy.cut();
  await waitUntil(() => written !== undefined);
  assertEquals(await written, 2);
  await inSync(bucket);
  for (let i = 0; i < 100; i++) assertEquals((await bucket.get("k"))?.text(), "new");
  assertEquals(await bucket.put("k", "new too"), 3);
  for (let i = 0; i < 100; i++) assertEquals((await bucket.get("k"))?.text(), "new too");
});

Deno.test("KvBucket with a cache never serves what became stale during a gap", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const writer = other.kvBucket("cached");
  await writer.put("k", "0");
  await writer.put("gone", "v");
  const bucket = stores.kvBucket("cached", { cache: true });
  await inSync(bucket);
  for (let round = 1; round <= 4; round++) {
    const away = setInterval(() => proxy.cut(), 1);
    await waitUntil(() => stores.connectionStatus() !== "connected");
    await writer.put("k", `${round}`);
    // Leaves no marker behind that a resumed watch could see.
    await writer.put("gone", "v");
    await writer.purge("gone");
    await other.api("STREAM.PURGE.KV_cached", { filter: "$KV.cached.gone" });
    clearInterval(away);
    let read = await bucket.get("k");
    while (read === null) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      read = await bucket.get("k");
    }
    assertEquals(read.text(), `${round}`);
    assertEquals((await bucket.get("gone"))?.text(), undefined);
    await inSync(bucket);
    assertEquals((await bucket.get("k"))?.text(), `${round}`);
    assertEquals((await bucket.get("gone"))?.text(), undefined);
  }
});

Deno.test("KvBucket with a cache returns null while disconnected, and the newest value after the reconnect", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("cached", { cache: true });
  await bucket.put("k", "1");
  await inSync(bucket);
  await server.kill();
  await waitUntil(() => stores.connectionStatus() !== "connected");
  assertEquals(await bucket.get("k"), null);
  await server.restart();
  await waitUntil(async () => (await bucket.get("k"))?.text() === "1");
  await inSync(bucket);
});

Deno.test("KvBucket with a cache notices that its watch was deleted, and heals it", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using stores = new KvStores({ servers: server.url });
  const writer = other.kvBucket("cached");
  await writer.put("k", "0");
  const bucket = stores.kvBucket("cached", { cache: true });
  await inSync(bucket);
  for (let round = 1; round <= 3; round++) {
    const [consumer] = await other.consumers("cached");
    await other.api(`CONSUMER.DELETE.KV_cached.${consumer}`);
    await writer.put("k", `${round}`);
    await waitUntil(async () => (await bucket.get("k"))?.text() === `${round}`);
    await inSync(bucket);
  }
});

Deno.test("KvBucket with a cache serves nothing of a bucket that was removed", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using stores = new KvStores({ servers: server.url });
  for (let round = 0; round < 20; round++) {
    const bucket = stores.kvBucket(`cached${round}`, { cache: true });
    for (let i = 0; i < 20; i++) await bucket.put("k", `old ${i}`);
    // In half of the rounds it is removed while the mirror is just beginning.
    for (let i = 0; i < round; i++) await bucket.get("probe");
    if (round % 2 === 0) await inSync(bucket);
    await bucket.destroy();
    assertEquals(await bucket.get("k"), null);
    await other.kvBucket(bucket.name).put("l", "new");
    while ((await bucket.get("l"))?.text() !== "new") assertEquals(await bucket.get("k"), null);
    const sync = inSync(bucket);
    for (let i = 0; i < 20; i++) assertEquals(await bucket.get("k"), null);
    await sync;
    assertEquals(await bucket.get("k"), null);
  }
});

Deno.test("KvBucket with a cache lets values expire that no marker announces", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("cached", { cache: true, ttl: 3_000 });
  await bucket.put("probe", "", { ttl: 10_000 });
  await inSync(bucket, "none");
  const begun = performance.now();
  await bucket.put("own", "v", { ttl: 1_000 });
  const text = (await bucket.get("own"))?.text();
  assert(text === "v" || performance.now() - begun > 1_000);
  await bucket.put("bucket's", "v");
  // The server may need a moment to drop it.
  await waitUntil(async () => await bucket.get("own") === null);
  await waitUntil(async () => await bucket.get("bucket's") === null);
  assertEquals(await bucket.get("probe"), null);
});

Deno.test("KvBucket with a cache gives the older revision that an expired one uncovers", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await stores.createStream({
    name: "KV_layers",
    subjects: ["$KV.layers.>"],
    max_msgs_per_subject: 3,
    discard: "new",
    allow_direct: true,
    allow_msg_ttl: true,
  });
  const bucket = stores.kvBucket("layers", { cache: true });
  await bucket.put("k", "below");
  await inSync(bucket);
  for (const ttl of ["4s", "0h0m4s"]) {
    await stores.publish("$KV.layers.k", "above", { "Nats-TTL": ttl });
    await waitUntil(async () => (await bucket.get("k"))?.text() === "above");
    await waitUntil(async () => (await bucket.get("k"))?.text() === "below");
  }
});

Deno.test("KvBucket with a cache follows a change of the bucket's TTL", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("cached", { cache: true });
  await bucket.put("k", "v");
  await inSync(bucket);
  await other.kvBucket("cached", { ttl: 1_000 }).put("other", "v");
  await waitUntil(async () => await bucket.get("k") === null);
});

Deno.test("KvBucket with a cache does not trust a bucket that drops values silently", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await stores.createStream({
    name: "KV_ring",
    subjects: ["$KV.ring.>"],
    max_msgs_per_subject: 1,
    max_msgs: 2,
    discard: "old",
    allow_direct: true,
  });
  const bucket = stores.kvBucket("ring", { cache: true });
  await bucket.put("a", "1");
  await bucket.get("a");
  await waitUntil(async () => (await stores.consumers("ring")).length === 1);
  await bucket.put("b", "2");
  await stores.publish("$KV.ring.c", "3");
  assertEquals(await bucket.get("a"), null);
});

Deno.test("KvBucket with a cache makes no bucket, begins when there is one, and ends with the stores", async () => {
  await using server = await startNatsServer();
  await using other = new KvStores({ servers: server.url });
  {
    await using stores = new KvStores({ servers: server.url });
    const bucket = stores.kvBucket("cached", { cache: true });
    assertEquals(await bucket.get("k"), null);
    assertEquals(await bucket.status(), null);
    await other.kvBucket("cached").put("k", "v");
    assertEquals((await bucket.get("k"))?.text(), "v");
    await inSync(bucket);
    await waitUntil(async () => (await other.consumers("cached")).length === 1);
    await stores.close();
    assertEquals(await other.consumers("cached"), []);
    assertEquals(await bucket.get("k"), null);
    await stores.connect();
    assertEquals((await bucket.get("k"))?.text(), "v");
    await inSync(bucket);
  }
  assertEquals(await other.consumers("cached"), []);
});

Deno.test("KvBucket with a cache serves nothing old after its process was stopped for a while", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const writer = stores.kvBucket("cached");
  await writer.put("k", "old");
  await using process = startProcess(new URL("./_read_cached.ts", import.meta.url), server.url, "cached", "k");
  const pid = Number(await process.nextLine());
  assertEquals(await process.nextLine(), "old");
  Deno.kill(pid, "SIGSTOP");
  await writer.put("k", "new");
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  Deno.kill(pid, "SIGCONT");
  // The first read after the stop.
  assertEquals(await process.nextLine(), "new");
});

Deno.test("KvBucket with a cache reads what another handle of its process has written", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const [bucket, cached] = [stores.kvBucket("shared"), stores.kvBucket("shared", { cache: true })];
  await bucket.put("k", "0");
  await cached.get("k");
  const older: string[] = [];
  for (let n = 1; n <= 500; n++) {
    await bucket.put("k", `${n}`);
    const text = (await cached.get("k"))?.text();
    if (text !== `${n}`) older.push(`${n}: ${text}`);
  }
  await bucket.delete("k");
  assertEquals([older, await cached.get("k")], [[], null]);
});

Deno.test("KvBucket with a cache serves nothing after its own destroy() where no event reports it", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("gone", { cache: true });
  await bucket.put("k", "v");
  await inSync(bucket);
  // Nor does the watch hear that its consumer is gone.
  proxy.tampering.drop = (subject, payload) => subject.startsWith("$JS.EVENT.") || payload.startsWith("NATS/1.0 409");
  assertEquals(await bucket.destroy(), true);
  assertEquals(await bucket.get("k"), null);
});
