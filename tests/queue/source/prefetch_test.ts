import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

for (const prefetch of [undefined, 0]) {
  const how = prefetch === undefined ? "by default" : `with prefetch ${prefetch}`;

  Deno.test(`JobConsumer ${how} holds no job behind a slow one while another worker is idle`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks");
    const go = Promise.withResolvers<void>();
    const slow = new RecordedRuns(() => go.promise);
    await using busy = queue.consume(slow.handler, { prefetch });
    await waitUntil(() => busy.status().state === "serving");
    // One of each priority reaches the only worker while it is idle.
    const priorities = ["high", "normal", "low"] as const;
    await Promise.all(priorities.map((priority) => queue.publish(1, { id: priority, priority })));
    await slow.started(1);
    const quick = new RecordedRuns();
    await using idle = queue.consume(quick.handler, { prefetch });
    await quick.started(2);
    assertEquals(slow.all.length, 1);
    assertEquals([...slow.ids, ...quick.ids].toSorted(), ["high", "low", "normal"]);
    assertEquals(idle.status().ended.completed <= 2, true);
    go.resolve();
  });
}

Deno.test("JobConsumer by default fetches nothing ahead of jobs that take long", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 20 }, (_, n) => ({ data: n })));
  const runs = new RecordedRuns(() => new Promise((resolve) => setTimeout(resolve, 150)));
  let most = 0;
  await using consumer = queue.consume(runs.handler, { concurrency: 2 });
  await waitUntil(() => {
    most = Math.max(most, consumer.status().prefetched);
    return runs.all.length === 6;
  });
  assertEquals(most, 0);
});

Deno.test("JobConsumer with prefetch holds so many jobs, and no more", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 40 }, (_, n) => ({ data: n })));
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  await using consumer = queue.consume(runs.handler, { concurrency: 3, prefetch: 7 });
  await waitUntil(() => consumer.status().prefetched === 7);
  const counts = await queue.counts();
  assertEquals([counts?.active, counts?.ready.normal], [10, 30]);
  assertEquals(consumer.status().active, 3);
  go.resolve();
  await waitUntil(() => consumer.status().ended.completed === 40);
  assertEquals(runs.all.length, 40);
});

Deno.test("JobConsumer gives prefetched jobs back that would wait half a lease behind a slow one, at no cost of an attempt", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 6_000 });
  await queue.publishMany(Array.from({ length: 6 }, (_, n) => ({ data: n, id: `job${n}` })));
  const go = Promise.withResolvers<void>();
  const slow = new RecordedRuns(() => go.promise);
  await using busy = queue.consume(slow.handler, { prefetch: 5 });
  await waitUntil(() => busy.status().prefetched === 5);
  const quick = new RecordedRuns();
  await using _idle = queue.consume(quick.handler);
  await quick.started(5);
  assertEquals(slow.ids, ["job0"]);
  assert(quick.all.every(({ attempt, deliveries }) => attempt === 1 && deliveries === 1));
  assertEquals(quick.ids.toSorted(), ["job1", "job2", "job3", "job4", "job5"]);
  go.resolve();
});
