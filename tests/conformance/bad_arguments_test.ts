import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { functionsOf, partsOf } from "../_support/calls.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** Asserts that every bad call gives its error: as a rejection where there is a promise, else at once. */
async function assertAllRefused(stores: JetStreamStores): Promise<void> {
  const api = functionsOf(stores);
  for (const { name, calls, target } of partsOf(api)) {
    const handle = target(api);
    for (const [method, { gives, bad = [] }] of Object.entries(calls)) {
      for (const [what, call, error, message] of bad) {
        const context = `${name} ${method}, ${what}`;
        if (gives === "null" || gives === "promise") {
          await assertRejects(() => call(handle) as Promise<unknown>, error, message, context);
        } else assertThrows(() => call(handle), error, message, context);
      }
    }
  }
}

Deno.test("every function refuses bad arguments without a connection", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  await assertAllRefused(stores);
  await stores.close();
  await assertAllRefused(stores);
  assertEquals(stores.connectionCounters().degraded, 0);
});

Deno.test("every function refuses bad arguments before anything is sent, and the connection stays", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({
    servers: server.url,
    connectTimeout: TIMEOUT_MS,
    logger: new CollectedLog(),
  });
  await stores.connect();
  await assertAllRefused(stores);
  const { in_msgs: received } = await server.monitor("/varz") as { in_msgs: number };
  assertEquals(received, 0);
  assertEquals(stores.connectionCounters(), { degraded: 0, timedOut: 0, connects: 1, disconnects: 0 });
});
