/** What is asked for at the same time over one connection must never be more than the server lets wait for one client (64 MiB): it would hang up. */
import { assertEquals } from "@std/assert";
import { JetStreamStores, type KvBucket } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";

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

Deno.test("watches, lists and mirrors of 57 MiB at the same time cost no connection", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: false, timeout: 60_000 });
  const bucket = stores.kvBucket("b", { storage: "memory" });
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
