import { assertEquals } from "@std/assert";
import { connect as connectVersion2 } from "nats";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";

Deno.test("KvBucket works over a connection of npm:nats 2 that was handed over", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores();
  const nc = await connectVersion2({ servers: server.url, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  stores.useConnection(nc);
  const bucket = stores.kvBucket("adopted", { history: 2 });
  const cached = stores.kvBucket("adopted", { cache: true });
  assertEquals(await bucket.put("k", "1"), 1);
  assertEquals(await bucket.create("k", "2"), false);
  assertEquals(await bucket.update("k", "2", 1), 2);
  assertEquals(await bucket.put("l", new Uint8Array([1, 2])), 3);
  assertEquals((await bucket.get("k"))?.text(), "2");
  assertEquals((await cached.get("k"))?.text(), "2");
  assertEquals((await bucket.getMany(["k", "l"]))?.size, 2);
  assertEquals(await Array.fromAsync(bucket.keys()), ["k", "l"]);
  assertEquals((await Array.fromAsync(bucket.history("k"))).map((entry) => entry.text()), ["1", "2"]);
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { key, operation } of bucket.watch()) if (seen.push(`${key} ${operation}`) === 4) break;
  })();
  await waitUntil(() => seen.length === 2);
  await bucket.delete("k");
  await waitUntil(async () => await cached.get("k") === null);
  await server.restart();
  await waitUntil(async () => await bucket.put("m", "v") !== null);
  await watching;
  assertEquals(seen, ["k put", "l put", "k delete", "m put"]);
  await waitUntil(async () => (await cached.get("m"))?.text() === "v");
  await stores.close();
  await nc.close();
});
