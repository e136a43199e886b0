import { assert, assertEquals, assertMatch } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../mod.ts";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";

/** A service with variables of its own. */
function service(server: NatsServer, variables: Record<string, string> = {}, logger = new CollectedLog()) {
  const all: Record<string, string> = { SUPERCHECK_NATS_URL: server.url, ...variables };
  return new JetStreamStores({ env: (name) => all[name], logger });
}

/** Seconds that the values of the bucket live, as the server has it. */
async function ttlOnServer(server: NatsServer): Promise<number> {
  const nc = await connect({ servers: server.url });
  const { config } = await (await jetstreamManager(nc)).streams.info("KV_supercheck_kv");
  await nc.close();
  return config.max_age / 1e9;
}

Deno.test("storeKV returns the revision, loadKV the key with its value", async () => {
  await using server = await startNatsServer();
  await using stores = service(server);
  assertEquals(await stores.storeKV("k", "v"), 1);
  assertEquals(await stores.storeKV("https://a/?b=c", ""), 2);
  assertEquals(await stores.storeKV("k", "w"), 3);
  // It fits what its callers have declared.
  const loaded: Record<string, string> | null = await stores.loadKV("k");
  assertEquals(loaded, { key: "k", val: "w" });
  assertEquals(await stores.loadKV("https://a/?b=c"), { key: "https://a/?b=c", val: "" });
});

Deno.test("loadKV returns null for a key that was never stored, is deleted or has expired, and makes no bucket", async () => {
  await using server = await startNatsServer();
  await using stores = service(server, { SUPERCHECK_NATS_KV_TTL_SECS: "1" });
  assertEquals(await stores.loadKV("k"), null);
  assertEquals(await stores.kvBucket("supercheck_kv").status(), null);
  await stores.storeKV("k", "v");
  await stores.storeKV("l", "v");
  assertEquals(await stores.deleteKV("k"), true);
  assertEquals(await stores.loadKV("k"), null);
  assertEquals(await stores.deleteKV("never"), true);
  await stores.kvBucket("supercheck_kv").purge("l");
  assertEquals(await stores.loadKV("l"), null);
  // It may have expired before it is read.
  for (let isLoaded = false; !isLoaded;) {
    const since = performance.now();
    await stores.storeKV("m", "v");
    const loaded = await stores.loadKV("m");
    isLoaded = loaded?.val === "v";
    assert(isLoaded || performance.now() - since >= 1_000);
  }
  while (await stores.loadKV("m") !== null) await new Promise((resolve) => setTimeout(resolve, 50));
});

Deno.test("storeKV takes a TTL for one value", async () => {
  await using server = await startNatsServer();
  await using stores = service(server);
  const start = performance.now();
  await stores.storeKV("short", "v", { ttl: 1_000 });
  await stores.storeKV("long", "v");
  while (await stores.loadKV("short") !== null) await new Promise((resolve) => setTimeout(resolve, 50));
  assert(performance.now() - start >= 1_000);
  assertEquals((await stores.loadKV("long"))?.val, "v");
});

Deno.test("values of supercheck_kv live a day, or as long as SUPERCHECK_NATS_KV_TTL_SECS says", async () => {
  for (const [variables, seconds] of [[{}, 86_400], [{ SUPERCHECK_NATS_KV_TTL_SECS: "90" }, 90]] as const) {
    await using server = await startNatsServer();
    await using stores = service(server, variables);
    await stores.storeKV("k", "v");
    assertEquals(await ttlOnServer(server), seconds);
  }
});

Deno.test("of two services with different TTLs the last to open the bucket wins, each change is logged, and values stay", async () => {
  await using server = await startNatsServer();
  const logs = [new CollectedLog(), new CollectedLog()];
  await using one = service(server, { SUPERCHECK_NATS_KV_TTL_SECS: "100" }, logs[0]);
  await using two = service(server, { SUPERCHECK_NATS_KV_TTL_SECS: "200" }, logs[1]);
  await one.storeKV("k", "v");
  assertEquals(await ttlOnServer(server), 100);
  await two.storeKV("l", "w");
  assertEquals(await ttlOnServer(server), 200);
  // Both go on without a quarrel.
  await one.storeKV("m", "x");
  await two.storeKV("m", "y");
  assertEquals(await ttlOnServer(server), 200);
  assertEquals(await Promise.all(["k", "l", "m"].map(async (key) => (await one.loadKV(key))?.val)), ["v", "w", "y"]);
  const [ofOne, ofTwo] = logs.map(({ lines }) => lines.filter((line) => line.includes("TTL")));
  assertEquals([ofOne.length, ofTwo.length], [0, 1]);
  assertMatch(ofTwo[0], /"supercheck_kv" has a TTL of 200000 ms from now on, it was 100000 ms/);
});
