import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { atOnce } from "./_at_once.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { suspend } from "../_support/suspend.ts";

for (const websocket of [false, true]) {
  const what = websocket ? "websocket" : "server";
  Deno.test(`JetStreamStores counts a ${what} that does not answer as lost, and reconnects when it answers again`, async () => {
    await using server = await startNatsServer({ websocket });
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({
      servers: websocket ? server.websocketUrl : server.url,
      pingInterval: 2_000,
      timeout: 1_500,
      connectTimeout: 2_000,
      logger,
    });
    // A busy machine may need more than one go.
    while (await stores.storeKV("k", "v") === null) continue;
    const { timedOut } = stores.connectionCounters();
    await suspend(server);
    const start = performance.now();
    assertEquals(await stores.loadKV("k"), null);
    assertLess(performance.now() - start, 8_000);
    assertEquals(stores.connectionCounters().timedOut, timedOut + 1);
    const lost = await logger.until(/^warn: Disconnected/);
    assertMatch(lost, /^warn: Disconnected from NATS at \S+ \(the server does not answer\): calls return null/);
    assertLess(performance.now() - start, 20_000);
    assertEquals(await atOnce(stores.loadKV("k")), null);
    assertEquals(stores.connectionCounters().timedOut, timedOut + 1);
    server.resume();
    await logger.until(/Reconnected/);
    while ((await stores.loadKV("k"))?.val !== "v") continue;
    assertEquals(logger.lines.filter((line) => line.startsWith("warn: Disconnected")).length, 1);
  });
}
