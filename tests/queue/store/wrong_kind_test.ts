import { connect } from "@nats-io/transport-node";
import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError, JetStreamStores } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { CollectedLog } from "../../_support/collected_log.ts";

Deno.test("JobQueue says wrong_kind where it finds nothing in a stream that is no queue, as publish does", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog(), env: () => undefined });
  const nc = await connect({ servers: server.url });
  const config = { name: "WQ_orders", subjects: ["orders.>"], allow_direct: true };
  await nc.request("$JS.API.STREAM.CREATE.WQ_orders", JSON.stringify(config), { timeout: 10_000 });
  const queue = stores.jobQueue("orders");
  const calls: Record<string, () => Promise<unknown>> = {
    publish: () => queue.publish(1),
    get: () => queue.get("a"),
    "get again": () => queue.get("a"),
    cancel: () => queue.cancel("a"),
    counts: () => queue.counts(),
    jobs: () => Array.fromAsync(queue.jobs()),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error = await assertRejects(call, JetStreamStoreError, "The stream WQ_orders does not keep", name);
    assertEquals(error.code, "wrong_kind", name);
  }
  await nc.close();
});

Deno.test("JobQueue.get and cancel look once in a session what the stream is", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog(), env: () => undefined });
  await stores.jobQueue("jobs").publish(1, { id: "there" });
  const nc = await connect({ servers: server.url });
  let looks = 0;
  nc.subscribe("$JS.API.STREAM.INFO.>", { callback: () => void looks++ });
  await nc.flush();
  const queue = stores.jobQueue("jobs");
  assertEquals((await queue.get("there"))?.id, "there");
  assertEquals(looks, 0);
  for (let round = 0; round < 3; round++) {
    assertEquals([await queue.get("none"), await queue.cancel("none")], [null, false]);
  }
  assertEquals(looks, 1);
  await nc.close();
});
