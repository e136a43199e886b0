import { assertEquals } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";

const CHECK = "https://example.com/health?x=1";

Deno.test("loadHealthcheck returns the newest result of a URL, and null for any other", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog() });
  assertEquals(await stores.loadHealthcheck(CHECK), null);
  assertEquals(await stores.objectBucket("supercheck").status(), null);
  const info = await stores.storeHealthcheck(CHECK, `{"status":503}`);
  assertEquals([info?.name, info?.bucket, info?.size], [CHECK, "supercheck", 14]);
  await stores.storeHealthcheck(CHECK, `{"status":200}`);
  assertEquals(await stores.loadHealthcheck(CHECK), `{"status":200}`);
  assertEquals(await stores.loadHealthcheck(`${CHECK}0`), null);
});

Deno.test("results live 30 seconds, then loadHealthcheck returns null", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog() });
  await stores.storeHealthcheck(CHECK, "{}");
  const nc = await connect({ servers: server.url });
  const { streams } = await jetstreamManager(nc);
  const { config } = await streams.info("OBJ_supercheck");
  assertEquals(config.max_age, 30e9);
  assertEquals(await stores.loadHealthcheck(CHECK), "{}");
  // Nobody wants to wait that long.
  await streams.update("OBJ_supercheck", { ...config, max_age: 500e6, duplicate_window: 500e6 });
  while (await stores.loadHealthcheck(CHECK) !== null) await new Promise((resolve) => setTimeout(resolve, 50));
  await nc.close();
});

Deno.test("a thousand loads and more leave no consumer and end, also while the results are replaced", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog() });
  await stores.storeHealthcheck(CHECK, "0");
  await stores.storeKV("k", "0");
  let writing = true;
  const writer = (async () => {
    for (let i = 1; writing; i++) {
      await Promise.all([stores.storeHealthcheck(CHECK, `${i}`), stores.storeKV("k", `${i}`)]);
    }
  })();
  const loads = Array.from({ length: 16 }, async () => {
    for (let i = 0; i < 80; i++) {
      // In between there is always one.
      assertEquals(/^\d+$/.test(await stores.loadHealthcheck(CHECK) ?? "none"), true);
      assertEquals(/^\d+$/.test((await stores.loadKV("k"))?.val ?? "none"), true);
    }
  });
  await Promise.all(loads);
  writing = false;
  await writer;
  const nc = await connect({ servers: server.url });
  const { streams } = await jetstreamManager(nc);
  for (const stream of ["OBJ_supercheck", "KV_supercheck_kv"]) {
    assertEquals((await streams.info(stream)).state.consumer_count, 0);
  }
  await nc.close();
  assertEquals(stores.connectionCounters().degraded, 0);
});
