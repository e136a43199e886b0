import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import type { KvBucket } from "../../mod.ts";
import { JetStreamStoreError } from "../../src/errors.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { Proxy } from "../_support/proxy.ts";
import { lacks } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";

Deno.test("KvBucket lets single values expire, and switches that on in the bucket when it is first used", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const before = await stores.createStream({
    name: "KV_mixed",
    subjects: ["$KV.mixed.>"],
    max_msgs_per_subject: 1,
    allow_direct: true,
    max_bytes: 1_000_000,
    description: "theirs",
  });
  const bucket = stores.kvBucket("mixed");
  await bucket.put("stays", "v");
  assertEquals((await stores.config("mixed")).allow_msg_ttl, false);
  const start = performance.now();
  const stored = await Promise.all([
    bucket.put("put", "v", { ttl: 600 }),
    bucket.create("created", "v", { ttl: 1_000 }),
    bucket.put("later", "v", { ttl: 60_000 }),
  ]);
  assertEquals(stored.map((revision) => typeof revision), ["number", "number", "number"]);
  assertEquals(await stores.config("mixed"), { ...before, allow_msg_ttl: true });
  await waitUntil(async () => await bucket.get("put") === null);
  assertGreater(performance.now() - start, 990);
  await waitUntil(async () => await bucket.get("created") === null);
  assertEquals((await Array.fromAsync(bucket.keys())).sort(), ["later", "stays"]);
  assertEquals(await bucket.create("created", "again"), 5);
  assertEquals((await bucket.status())?.valueTtl, true);
});

Deno.test("KvBucket rounds the TTL of a value up to whole seconds", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("rounded");
  for (const [ttl, header] of [[1, "1s"], [1_000, "1s"], [1_001, "2s"], [90_000, "90s"]] as const) {
    // It may have expired before it is read.
    await waitUntil(async () => {
      const seq = await bucket.put("k", "v", { ttl });
      const read = stores.api<{ message: { hdrs: string } }>("STREAM.MSG.GET.KV_rounded", { seq });
      const stored = await read.catch(() => null);
      return stored !== null && atob(stored.message.hdrs).includes(`Nats-TTL: ${header}\r\n`);
    });
  }
});

Deno.test("KvBucket.update renews the TTL of a value", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("leases");
  let key = "";
  await waitUntil(async () => {
    const revision = await bucket.create(key = crypto.randomUUID(), "me", { ttl: 1_000 }) as number;
    return await bucket.update(key, "me", revision, { ttl: 60_000 }) === revision + 1;
  });
  await bucket.put("reference", "v", { ttl: 1_000 });
  await waitUntil(async () => await bucket.get("reference") === null);
  assertEquals((await bucket.get(key))?.text(), "me");
});

Deno.test("KvBucket.put and update refuse a TTL where an older revision would come back", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("revisions", { history: 3 });
  await bucket.put("k", "v");
  for (const call of [() => bucket.put("k", "w", { ttl: 1_000 }), () => bucket.update("k", "w", 1, { ttl: 1_000 })]) {
    const error = await assertRejects(call, JetStreamStoreError, "the bucket keeps 3 revisions of each key");
    assertEquals(error.code, "unsupported");
  }
  assertEquals((await bucket.get("k"))?.text(), "v");
  await bucket.delete("k");
  const begun = performance.now();
  assertEquals(await bucket.create("k", "x", { ttl: 1_000 }), 3);
  const text = (await bucket.get("k"))?.text();
  assert(text === "x" || performance.now() - begun > 1_000);
  await waitUntil(async () => await bucket.get("k") === null);
});

/** Whether what is stored now is the first message: 2.12 can have one back of a stream that was made again right after it was deleted. */
async function isFirst(bucket: KvBucket): Promise<boolean> {
  const revision = await bucket.put("k", "v", { ttl: 60_000 });
  return revision === 1 || revision === 2 && lacks("2.14");
}

Deno.test("KvBucket switches TTLs of values on again when the bucket was made again", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("again");
  await bucket.put("k", "v", { ttl: 1_000 });
  await stores.api("STREAM.DELETE.KV_again");
  assert(await isFirst(bucket));
  await stores.api("STREAM.DELETE.KV_again");
  await stores.createStream({
    name: "KV_again",
    subjects: ["$KV.again.>"],
    max_msgs_per_subject: 1,
    allow_direct: true,
  });
  assert(await isFirst(bucket));
  assertEquals((await stores.config("again")).allow_msg_ttl, true);
});

Deno.test("KvBucket names the version that the TTL of a value needs", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url, { version: "2.10.29" });
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("old");
  assertEquals(await bucket.put("k", "v"), 1);
  const error = await assertRejects(
    () => bucket.put("k", "v", { ttl: 1_000 }),
    JetStreamStoreError,
    "needs nats-server 2.11 or newer",
  );
  assertEquals(error.code, "unsupported");
});

Deno.test("KvBucket.put throws for a TTL that cannot be, also without a connection", async () => {
  await using stores = new KvStores();
  const bucket = stores.kvBucket("none");
  for (const ttl of [0, -1, NaN, "5" as unknown as number]) {
    await assertRejects(
      () => bucket.put("k", "v", { ttl }),
      RangeError,
      "Cannot store the value as 'ttl' must be ≥ 1 ms",
    );
    await assertRejects(
      () => bucket.create("k", "v", { ttl }),
      RangeError,
      "Cannot create the key as 'ttl' must be ≥ 1 ms",
    );
  }
});

Deno.test("KvBucket keeps no value longer than its own TTL", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("brief", { ttl: 500 });
  await bucket.put("k", "v", { ttl: 60_000 });
  const start = performance.now();
  await waitUntil(async () => await bucket.get("k") === null);
  assertLess(performance.now() - start, 15_000);
});
