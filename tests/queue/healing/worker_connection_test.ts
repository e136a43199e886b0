import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { Relay } from "../../_support/relay.ts";
import { HeldJob } from "./_held_job.ts";
import { WatchedWorker } from "./_watched_worker.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

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
  Deno.test(`JobConsumer reports what ended while the server was down, and serves again (${how})`, async () => {
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

Deno.test("JobConsumer does not report a run to another server that has a queue of the same name", async () => {
  const servers = [await startNatsServer(), await startNatsServer()];
  await using _one = servers[0];
  await using _two = servers[1];
  await using stores = new QueueStores(servers.map(({ url }) => url).join());
  const info = await stores.connect();
  const at = servers.findIndex(({ url }) => url.endsWith(info!.server!));
  await using there = new QueueStores(servers[1 - at].url);
  const go = Promise.withResolvers<void>();
  const old = new RecordedRuns(() => go.promise);
  await using consumer = stores.jobQueue("checks").consume(old.handler);
  await stores.jobQueue("checks").publish(1, { id: "old" });
  await old.started(1);
  const runs = new RecordedRuns(() => new Promise(() => {}));
  await using other = there.jobQueue("checks").consume(runs.handler);
  await there.jobQueue("checks").publish(1, { id: "new" });
  await runs.started(1);
  await servers[at].kill();
  await waitUntil(() => stores.connectionCounters().disconnects > 0);
  go.resolve();
  await waitUntil(() => consumer.status().active === 0);
  assertEquals(consumer.status().ended.released, 1);
  assertEquals((await there.jobQueue("checks").get("new"))?.state, "active");
  await other.stop({ deadline: 0 });
});
