import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { atOnce } from "./at_once.ts";
import { CollectedLog } from "./collected_log.ts";
import { suspend } from "./suspend.ts";

for (const websocket of [false, true]) {
  Deno.test(`JetStreamStores counts a ${websocket ? "websocket" : "server"} that does not answer as lost, and heals when it goes on`, async () => {
    await using server = await startNatsServer({ websocket });
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({
      servers: websocket ? server.websocketUrl : server.url,
      pingInterval: 100,
      timeout: 200,
      connectTimeout: 200,
      logger,
    });
    await stores.storeKV("k", "v");
    await suspend(server);
    const start = performance.now();
    assertEquals(await stores.loadKV("k"), null);
    assertLess(performance.now() - start, 1_000);
    assertEquals(stores.connectionCounters().timedOut, 1);
    assertMatch(
      await logger.until(/^warn: /),
      /^warn: Lost the connection to NATS at \S+ \(the server does not answer\): calls/,
    );
    assertLess(performance.now() - start, 2_000);
    assertEquals(await atOnce(stores.loadKV("k")), null);
    assertEquals(stores.connectionCounters().timedOut, 1);
    server.resume();
    await logger.until(/Connected again/);
    assertEquals((await stores.loadKV("k"))?.val, "v");
    assertEquals(logger.lines.length, 3);
  });
}
