import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

for (const concurrency of [undefined, 1, 3, 20]) {
  Deno.test(`JobConsumer runs ${concurrency ?? "by default one"} at a time, never more, and as many as it may`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks");
    const priorities = ["high", "normal", "low"] as const;
    await queue.publishMany(Array.from({ length: 120 }, (_, n) => ({ data: n, priority: priorities[n % 3] })));
    const runs = new RecordedRuns(async ({ data, attempt }) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (Number(data) % 10 === 0 && attempt === 1) throw new Error("once more");
    });
    await using consumer = queue.consume(runs.handler, { concurrency, backoff: 0 });
    await waitUntil(() => consumer.status().ended.completed === 120);
    assertEquals(runs.mostActive, concurrency ?? 1);
    assertEquals(runs.all.length, 132);
  });
}

Deno.test("JobConsumer keeps its concurrency when jobs come one by one to an idle worker", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const both = Promise.withResolvers<void>();
  const runs = new RecordedRuns(async () => {
    if (runs.active === 2) both.resolve();
    await both.promise;
    await new Promise((resolve) => setTimeout(resolve, 10));
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 2 });
  await waitUntil(() => consumer.status().state === "serving");
  const priorities = ["high", "normal", "low"] as const;
  for (let n = 0; n < 30; n++) await queue.publish(n, { priority: priorities[n % 3] });
  await waitUntil(() => consumer.status().ended.completed === 30);
  assertEquals(runs.mostActive, 2);
});

Deno.test("JobConsumer runs each job once, shared among several consumers", async () => {
  await using server = await startNatsServer();
  await using one = new QueueStores(server.url);
  await using two = new QueueStores(server.url);
  const runs = new RecordedRuns(() => new Promise((resolve) => setTimeout(resolve, 10)));
  await one.jobQueue("checks").open();
  await using a = one.jobQueue("checks").consume(runs.handler, { concurrency: 5 });
  await using b = two.jobQueue("checks").consume(runs.handler, { concurrency: 5 });
  await using c = two.jobQueue("checks").consume(runs.handler, { concurrency: 5 });
  await waitUntil(() => [a, b, c].every((each) => each.status().state === "serving"));
  await one.jobQueue("checks").publishMany(Array.from({ length: 600 }, (_, n) => ({ data: n, id: `job${n}` })));
  const completed = () => [a, b, c].map((consumer) => consumer.status().ended.completed);
  await waitUntil(() => completed().reduce((sum, n) => sum + n) === 600);
  assertEquals(new Set(runs.ids).size, 600);
  assertEquals(runs.all.length, 600);
  assert(completed().every((count) => count > 60), `shared unevenly: ${completed()}`);
});

Deno.test("JobConsumer runs the next jobs while the server confirms the ends of others, but not of more than 256", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using producer = new QueueStores(server.url);
  await producer.jobQueue("checks").publishMany(Array.from({ length: 600 }, (_, n) => ({ data: n })));
  const runs = new RecordedRuns();
  // Answers without a body are confirmations; what has one is a job. The first job's right to be acknowledged is checked before it runs.
  let confirmations = 0;
  proxy.tampering.drop = (subject, payload) =>
    runs.all.length > 0 && subject.startsWith("_INBOX.") && payload === "\r\n" && confirmations++ >= 0;
  await using consumer = stores.jobQueue("checks").consume(runs.handler, { prefetch: 50 });
  await runs.started(257);
  // Each of them was acknowledged, and by itself again after a second without an answer.
  await waitUntil(() => confirmations >= 257);
  assertEquals([runs.all.length, runs.mostActive, consumer.status().active], [257, 1, 257]);
  assertEquals(consumer.status().ended.completed, 0);
  delete proxy.tampering.drop;
  await waitUntil(() => consumer.status().ended.completed === 600);
  assertEquals(new Set(runs.ids).size, runs.all.length);
});
