/** What is asked for at the same time over one connection must never be more than the server lets wait for one client (64 MiB): it would hang up. */
import { assertEquals } from "@std/assert";
import { JetStreamStores, type KvBucket } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { TIMEOUT_MS } from "../../_support/open_stores.ts";

const VALUE = new Uint8Array(100_000).fill(7);
const KEYS = Array.from({ length: 600 }, (_, i) => `k${i}`);

/** Stores 57 MiB. */
async function fill(bucket: KvBucket): Promise<void> {
  for (let i = 0; i < KEYS.length; i += 50) {
    await Promise.all(KEYS.slice(i, i + 50).map((key) => bucket.put(key, VALUE)));
  }
}

async function count(values: AsyncIterable<unknown>, most = Infinity): Promise<number> {
  let count = 0;
  for await (const _ of values) if (++count === most) break;
  return count;
}

for (const history of [1, 3]) {
  Deno.test(`watches, lists and mirrors of 57 MiB at the same time cost no connection, with a history of ${history}`, async () => {
    await using server = await startNatsServer();
    await using stores = new JetStreamStores({
      connectTimeout: TIMEOUT_MS,
      servers: server.url,
      logger: false,
      timeout: 60_000,
    });
    const bucket = stores.kvBucket("b", { storage: "memory", history });
    await fill(bucket);
    const mirrors = Array.from({ length: 3 }, () => stores.kvBucket("b", { cache: true }));
    const [watched, listed] = await Promise.all([
      Promise.all(Array.from({ length: 3 }, () => count(bucket.watch(), KEYS.length))),
      Promise.all(Array.from({ length: 3 }, () => count(bucket.entries()))),
      ...mirrors.map((mirror) => mirror.get("k0")),
    ]);
    assertEquals([...watched, ...listed], Array(6).fill(KEYS.length));
    assertEquals(stores.connectionCounters().disconnects, 0);
  });
}

/** What many calls at once give: how many of them have the wanted length. */
async function lengths(calls: number, call: (i: number) => Promise<number | undefined>): Promise<Map<unknown, number>> {
  const all = await Promise.all(Array.from({ length: calls }, (_, i) => call(i)));
  const counted = new Map<unknown, number>();
  for (const length of all) counted.set(length, (counted.get(length) ?? 0) + 1);
  return counted;
}

Deno.test("reads of large values at the same time cost no connection: one by one, many at once, and objects", async () => {
  await using server = await startNatsServer();
  const options = { servers: server.url, logger: false, timeout: 60_000 } as const;
  await using writer = new JetStreamStores(options);
  const large = new Uint8Array(900_000).fill(7);
  const keys = Array.from({ length: 8 }, (_, i) => `k${i}`);
  for (const key of keys) await writer.kvBucket("b", { storage: "memory" }).put(key, large);
  for (const key of keys) {
    await writer.objectBucket("o", { storage: "memory" }).put(key, large.subarray(0, 60_000), { chunkSize: 65_536 });
  }
  // Nothing is known of the sizes when its first calls are sent.
  await using stores = new JetStreamStores(options);
  const [bucket, objects] = [stores.kvBucket("b"), stores.objectBucket("o")];
  const get = (i: number) => bucket.get(keys[i % keys.length]).then((entry) => entry?.value.length);
  assertEquals(await lengths(150, get), new Map([[900_000, 150]]));
  const many = () => bucket.getMany(keys).then((found) => found?.size);
  assertEquals(await lengths(25, many), new Map([[keys.length, 25]]));
  const object = (i: number) => objects.get(keys[i % keys.length]).then((bytes) => bytes?.length);
  assertEquals(await lengths(2_000, object), new Map([[60_000, 2_000]]));
  assertEquals(stores.connectionCounters().disconnects, 0);
});

Deno.test("a value larger than the budget of a connection is read, by each of the ways", async () => {
  await using server = await startNatsServer({ config: "max_payload: 33554432, max_pending: 67108864" });
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    logger: false,
    timeout: 60_000,
  });
  const bucket = stores.kvBucket("b");
  const value = new Uint8Array(20 * 1_048_576).fill(7);
  await bucket.put("large", value);
  await bucket.put("small", "x");
  assertEquals((await bucket.get("large"))?.value.length, value.length);
  assertEquals((await bucket.getMany(["large", "small"]))?.size, 2);
  assertEquals(await count(bucket.entries()), 2);
  assertEquals(await count(bucket.watch(), 2), 2);
  assertEquals(await count(bucket.history("large")), 1);
  assertEquals(stores.connectionCounters().disconnects, 0);
});
