import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_wait_until.ts";
import { Relay } from "./relay.ts";
import { HeldJob } from "./_held_job.ts";
import { WatchedWorker } from "./_watched_worker.ts";

Deno.test("JobConsumer serves again after its connection was cut", async () => {
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  await using worker = new WatchedWorker({ url: relay.url, publishTo: server.url });
  await worker.publish("before");
  await worker.healed(["before"]);
  relay.cut();
  await worker.serving(false);
  await worker.publish("after");
  await worker.healed(["before", "after"]);
});

for (const how of ["stop", "kill"] as const) {
  Deno.test(`JobConsumer reports what ended while the server was away, and serves again (${how})`, async () => {
    const across = new HeldJob("across");
    await using server = await startNatsServer();
    await using worker = new WatchedWorker({ url: server.url, handler: across.handler });
    await worker.publish("across");
    await across.started;
    await server[how]();
    await waitUntil(() => worker.state === "connecting");
    across.letGo();
    await server.restart();
    await worker.publish("after");
    // Well before the end of its lease of 30 s.
    await worker.healed(["across", "after"], 25_000);
    assertEquals(worker.consumer.status().ended.completed, 2);
  });
}
