import { assertEquals } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

const throwing = () => {
  throw new Error("the logger is broken");
};
const rejecting = () => Promise.reject(new Error("the logger is broken"));

for (const [how, log] of [["throws", throwing], ["returns a promise that rejects", rejecting]] as const) {
  Deno.test(`a logger that ${how} loses its lines, and the connection is made, lost and made again`, async () => {
    await using server = await startNatsServer();
    const logger = { info: log, warn: log, error: log };
    await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger });
    const bucket = stores.kvBucket("b");
    assertEquals(await bucket.put("a", "1"), 1);
    await server.restart();
    await waitUntil(async () => await bucket.put("a", "2") !== null);
    assertEquals(stores.connectionStatus(), "connected");
  });
}

Deno.test("logger: false logs nothing", async () => {
  await using stores = new JetStreamStores({ logger: false, env: () => undefined });
  assertEquals(await stores.loadKV("a"), null);
});
