import { assertEquals, assertNotEquals } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsCluster } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

Deno.test("JetStreamStores reconnects to another server of the cluster, also to one that was not configured", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  const logger = new CollectedLog();
  const first = cluster.servers[0];
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: first.url, logger, timeout: 30_000 });
  const bucket = stores.kvBucket("b", { replicas: 3 });
  assertEquals(await bucket.put("k", "v"), 1);
  assertEquals(stores.connectionInfo()?.cluster, cluster.name);
  await first.kill();
  await logger.until(/Reconnected/);
  assertNotEquals(stores.connectionInfo()?.serverName, first.name);
  let value: string | undefined;
  // The bucket may be between leaders for a while.
  while (value === undefined) value = (await bucket.get("k"))?.text();
  assertEquals(value, "v");
  assertEquals(logger.lines.length, 3);
});

Deno.test("JetStreamStores reconnects to a server that has joined the cluster since it connected", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  const [first, second, third] = cluster.servers;
  await Promise.all([second.stop(), third.stop()]);
  const known = async () => ((await first.monitor("/varz"))?.connect_urls as string[] | undefined)?.length ?? 0;
  await waitUntil(async () => await known() <= 1);
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: first.url,
    logger,
    timeout: TIMEOUT_MS,
  });
  assertEquals((await stores.connect())?.serverName, first.name);
  await second.restart();
  await waitUntil(async () => await known() >= 2);
  // The answer arrives behind the news.
  await stores.kvBucket("b").status();
  await first.kill();
  await logger.until(/Reconnected/);
  assertEquals(stores.connectionInfo()?.serverName, second.name);
});
