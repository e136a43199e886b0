import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer drops a job that has not started within its ttl, and counts it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "short", ttl: 50 });
  await queue.publish(1, { id: "long", ttl: 60_000 });
  await queue.publish(1, { id: "delayed", ttl: 100, delay: 400 });
  await queue.publish(1, { id: "none" });
  await new Promise((resolve) => setTimeout(resolve, 60));
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed === 2 && consumer.status().ended.expired === 2);
  assertEquals(runs.ids, ["long", "none"]);
  const counts = await queue.counts();
  assertEquals([counts?.ready.normal, counts?.active, counts?.delayed, counts?.dead], [0, 0, 0, 0]);
  assertEquals(await queue.get("short"), null);
  assertEquals((await queue.publish(1, { id: "short" }))?.duplicate, false);
});

Deno.test("JobConsumer drops a job that expired while it was prefetched", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await using foreign = await ForeignClient.connect(server.url);
  await queue.publish(1, { id: "runs" });
  await queue.publish(1, { id: "waits", ttl: 100 });
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  await using consumer = queue.consume(runs.handler, { prefetch: 1 });
  await waitUntil(() => consumer.status().prefetched === 1);
  // The server's time is known by as much as it took to answer.
  const { headers } = (await foreign.messages("WQ_checks")).at(-1)!;
  await waitUntil(() => Date.now() > Date.parse(headers["Job-Expires-At"]) + 1_000);
  go.resolve();
  await waitUntil(() => consumer.status().ended.expired === 1);
  assertEquals(runs.ids, ["runs"]);
});

for (const key of [undefined, "k"]) {
  Deno.test(`JobConsumer retries a job ${key ? "with a key " : ""}that started within its ttl also when that is over`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks");
    // Long enough to start on a busy machine, too; the first run lasts until it is over.
    const ttl = 6_000;
    const runs = new RecordedRuns(async ({ attempt }) => {
      if (attempt === 1) await new Promise((resolve) => setTimeout(resolve, ttl + 100));
      throw new Error("no");
    });
    await using consumer = queue.consume(runs.handler, { maxAttempts: 3, backoff: 1 });
    await waitUntil(() => consumer.status().state === "serving");
    await queue.publish(1, { id: "a", key, ttl });
    await waitUntil(() => consumer.status().ended.dead + consumer.status().ended.expired === 1);
    assertEquals(runs.all.map(({ attempt }) => attempt), [1, 2, 3]);
    assertEquals([consumer.status().ended.dead, consumer.status().ended.expired], [1, 0]);
  });
}
