import { assertEquals, assertGreater } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer starts no more jobs within any interval than rateLimit allows, and wastes none", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 22 }, (_, n) => ({ data: n })));
  const runs = new RecordedRuns();
  const began = performance.now();
  await using consumer = queue.consume(runs.handler, { concurrency: 10, rateLimit: { jobs: 5, interval: 250 } });
  await waitUntil(() => consumer.status().ended.completed === 22);
  const starts = runs.all.map(({ at }) => at);
  // The handler's clock reads a moment after a start was counted, so only the beginning is a sure bound.
  for (const [n, at] of starts.entries()) assertGreater(at - began, 250 * Math.floor(n / 5) - 1, `start ${n}`);
  assertEquals(runs.all.every(({ deliveries }) => deliveries === 1), true);
});

Deno.test("JobConsumer with a rateLimit leaves jobs that it may not start to other workers", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 50 }, (_, n) => ({ data: n })));
  const limited = new RecordedRuns();
  await using one = queue.consume(limited.handler, { concurrency: 10, rateLimit: { jobs: 2, interval: 60_000 } });
  await waitUntil(() => one.status().ended.completed === 2);
  const free = new RecordedRuns();
  await using two = queue.consume(free.handler);
  await waitUntil(() => two.status().ended.completed === 48);
  assertEquals(limited.all.length, 2);
});

Deno.test("JobConsumer takes a rateLimit of more jobs than a list has room for", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(() => {}, { rateLimit: { jobs: 2 ** 40, interval: 1_000 } });
  await queue.publish(1);
  await waitUntil(() => consumer.status().ended.completed === 1);
});
