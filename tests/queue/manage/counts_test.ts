import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobQueue.counts counts what waits by priority, what runs, what is delayed and what is dead, from another process", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const counts = () => admin.jobQueue("checks").counts();
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns<string>(async ({ data }) => {
    if (data === "dies" || data === "fails") throw new Error("no");
    await go.promise;
  });
  await using consumer = queue.consume(runs.handler, {
    priorities: ["high"],
    concurrency: 3,
    prefetch: 0,
    maxAttempts: 2,
    backoff: 60_000,
  });
  await queue.publishMany([
    { data: "dies", priority: "high", maxAttempts: 1 },
    { data: "dies", priority: "high", maxAttempts: 1 },
    { data: "fails", priority: "high" },
    { data: "runs", priority: "high" },
    { data: "runs", priority: "high" },
    { data: "runs", priority: "high" },
  ]);
  await waitUntil(() =>
    consumer.status().active === 3 && consumer.status().ended.dead === 2 && consumer.status().ended.retried === 1
  );
  const start = Date.now();
  for (let n = 0; n < 4; n++) await queue.publish("waits", { priority: "high" });
  for (let n = 0; n < 3; n++) await queue.publish("waits");
  for (let n = 0; n < 2; n++) await queue.publish("waits", { priority: "low" });
  for (let n = 0; n < 5; n++) await queue.publish("waits", { delay: 60_000, priority: "low" });
  for (let n = 0; n < 6; n++) await queue.publish("waits", { key: `key${n}` });
  const { oldest, paused, limits, rateLimit, ended, ...rest } = (await counts())!;
  assertEquals([paused, limits, rateLimit], [null, { high: null, normal: null, low: null }, null]);
  // Three dead letters or retries have left it, and each retry is a message more.
  assertEquals(ended, 3);
  const { keyed, ...ready } = rest.ready;
  assertEquals({ ...rest, ready }, { ready: { high: 4, normal: 3, low: 2 }, active: 3, delayed: 6, dead: 2 });
  assertEquals(keyed, 6);
  assert(oldest !== null && oldest >= 0 && oldest <= Date.now() - start + 50, `oldest: ${oldest}`);
  go.resolve();
});

Deno.test("JobQueue.counts returns how long the oldest waiting job has waited", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  assertEquals((await queue.counts())?.oldest, null);
  await queue.publish(1, { delay: 60_000 });
  assertEquals((await queue.counts())?.oldest, null);
  const start = performance.now();
  await queue.publish(1, { id: "first", priority: "low" });
  await new Promise((resolve) => setTimeout(resolve, 150));
  const published = performance.now();
  await queue.publish(1, { priority: "high" });
  const oldest = (await queue.counts())!.oldest!;
  assertGreater(oldest, 140);
  assertLess(oldest, performance.now() - start + 50);
  await queue.cancel("first");
  assertLess((await queue.counts())!.oldest!, performance.now() - published + 50);
});

Deno.test("JobQueue.counts is right after cancels, retries, moves and a restart of the server", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.publishMany(Array.from({ length: 60 }, (_, n) => ({ data: n, id: `job${n}` })));
  for (let n = 0; n < 10; n++) assertEquals(await queue.cancel(`job${n}`), true);
  assertEquals((await queue.counts())?.ready.normal, 50);
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns<number>(async ({ data }) => {
    if (data < 30) throw new Error("no");
    await go.promise;
  });
  const consumer = queue.consume(runs.handler, { concurrency: 10, prefetch: 5, backoff: 60_000 });
  await waitUntil(() => consumer.status().ended.retried === 20 && consumer.status().active === 10);
  await waitUntil(() => consumer.status().prefetched > 0);
  const withoutOldest = async () => {
    const { oldest: _oldest, ...rest } = (await queue.counts())!;
    return rest;
  };
  // Fetching goes on for a moment.
  await waitUntil(async () => {
    const held = 10 + consumer.status().prefetched;
    const { ready, active, delayed, dead } = await withoutOldest();
    return ready.normal === 30 - held && active === held && delayed === 20 && dead === 0;
  });
  for (const id of ["job10", "job45", "job59"]) assertEquals(await queue.cancel(id), true);
  go.resolve();
  await consumer.stop();
  const after = await withoutOldest();
  assertEquals([after.active, after.delayed, after.dead], [0, 19, 0]);
  await server.restart();
  await waitUntil(async () => await queue.counts() !== null);
  assertEquals(await withoutOldest(), after);
});

Deno.test("JobQueue.counts is null for a queue that is not there, and makes none", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  assertEquals(await stores.jobQueue("nowhere").counts(), null);
  assertEquals(await foreign.stream("WQ_nowhere"), undefined);
});

Deno.test("JobQueue.counts and get stay quick with many jobs", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const jobs = Number(Deno.env.get("SUPERCHECK_TEST_BACKLOG") ?? 20_000);
  for (let n = 0; n < jobs; n += 2_000) {
    await queue.publishMany(Array.from({ length: 2_000 }, (_, m) => ({ data: 1, id: `job${n + m}` })), {
      atomic: true,
    });
  }
  await queue.get("job0");
  const sent = async () => (await server.monitor("/varz"))!.out_bytes as number;
  const before = await sent();
  for (let round = 0; round < 20; round++) {
    assertEquals((await queue.counts())?.ready.normal, jobs);
    assertEquals((await queue.get(`job${round * 900}`))?.state, "ready");
  }
  // Whoever looked at the jobs would hear of each.
  assertLess((await sent() - before) / 20, 10_000);
});

Deno.test("JobQueue.counts includes limits, and a pause with its end", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  await queue.limitActive({ high: 3, low: 7 });
  const until = new Date(Date.now() + 3_600_000);
  await queue.pause(until, { priority: "low" });
  const some = (await queue.counts())!;
  assertEquals(some.limits, { high: 3, normal: null, low: 7 });
  assertEquals(some.paused, { priorities: ["low"], until });
  await queue.pause();
  assertEquals((await queue.counts())?.paused, { priorities: ["high", "normal", "low"], until: null });
  await queue.resume();
  await queue.limitActive({ high: null, low: null });
  const none = (await queue.counts())!;
  assertEquals([none.paused, none.limits], [null, { high: null, normal: null, low: null }]);
});
