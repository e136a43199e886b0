import { assertEquals, assertLess } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobQueue.get returns a job that is waiting, delayed, active, or waits for its retry, from another process", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const before = Date.now();
  await queue.publish({ n: 1 }, { id: "runs.now", priority: "high" });
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  await using consumer = queue.consume(runs.handler, { backoff: 60_000 });
  await runs.started(1);
  await queue.publish({ n: 2 }, { id: "waits", priority: "low" });
  await queue.publish({ n: 3 }, { id: "delayed", delay: 60_000 });
  await queue.publish({ n: 4 }, { id: "keyed", key: "k" });
  const get = async (id: string) => {
    const info = await admin.jobQueue("checks").get(id);
    assertEquals(info?.id, id);
    assertLess(Math.abs(info!.enqueuedAt.getTime() - before), 5_000);
    const runsIn = info!.runAt && info!.runAt.getTime() - Date.now();
    return [info!.data, info!.state, info!.priority, info!.attempt, runsIn && Math.round(runsIn / 10_000) * 10];
  };
  assertEquals(await get("runs.now"), [{ n: 1 }, "active", "high", 1, null]);
  assertEquals(await get("waits"), [{ n: 2 }, "ready", "low", 1, null]);
  assertEquals(await get("delayed"), [{ n: 3 }, "delayed", "normal", 1, 60]);
  assertEquals((await get("keyed")).slice(0, 1), [{ n: 4 }]);
  go.reject(new Error("no"));
  await waitUntil(() => consumer.status().ended.retried >= 1);
  const [data, state, priority, attempt] = await get("runs.now");
  assertEquals([data, state, priority, attempt], [{ n: 1 }, "delayed", "high", 2]);
});

Deno.test("JobQueue.get is null for a job that is not in the queue, and makes no queue", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  assertEquals(await stores.jobQueue("nowhere").get("a"), null);
  assertEquals(await foreign.stream("WQ_nowhere"), undefined);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a" });
  assertEquals(await queue.get("b"), null);
  await using consumer = queue.consume(() => {});
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(await queue.get("a"), null);
});
