import { assert, assertEquals, assertLess } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer.stop waits for what runs, gives back what has not started, and takes no more", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 20 }, (_, n) => ({ data: n, id: `job${n}` })));
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  const consumer = queue.consume(runs.handler, { concurrency: 2, prefetch: 6 });
  await waitUntil(() => consumer.status().active === 2 && consumer.status().prefetched === 6);
  const stopping = consumer.stop();
  assertEquals(consumer.status().state, "stopping");
  assertEquals(consumer.stop(), stopping);
  await waitUntil(async () => (await queue.counts())?.active === 2);
  go.resolve();
  assertEquals(await stopping, { givenBack: 6, abandoned: [] });
  await consumer.closed;
  const { state, active, prefetched, ended } = consumer.status();
  assertEquals([state, active, prefetched, ended.completed], ["stopped", 0, 0, 2]);
  const counts = await queue.counts();
  assertEquals([counts?.ready.normal, counts?.active], [18, 0]);
  await queue.publish(1, { id: "later" });
  assertEquals(runs.all.length, 2);
  // Given back at no cost.
  const next = new RecordedRuns();
  await using another = queue.consume(next.handler);
  await waitUntil(() => another.status().ended.completed === 19);
  assert(next.all.every(({ attempt, deliveries }) => attempt === 1 && deliveries === 1));
  assertEquals(new Set(next.ids).size, 19);
});

Deno.test("JobConsumer.stop abandons what still runs at its deadline, returns which, and another worker runs it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 5_000 });
  await queue.publishMany([{ data: 1, id: "slow" }, { data: 1, id: "slow.too" }]);
  const go = Promise.withResolvers<void>();
  const reasons: unknown[] = [];
  const runs = new RecordedRuns(({ signal }) => {
    signal.addEventListener("abort", () => reasons.push(signal.reason.message));
    return go.promise;
  });
  const consumer = queue.consume(runs.handler, { concurrency: 2 });
  await runs.started(2);
  const start = performance.now();
  const { givenBack, abandoned } = await consumer.stop({ deadline: 150 });
  assertLess(performance.now() - start, 4_000);
  assertEquals([givenBack, abandoned.toSorted()], [0, ["slow", "slow.too"]]);
  assertEquals(reasons, ["The consumer stopped", "The consumer stopped"]);
  const next = new RecordedRuns();
  await using another = queue.consume(next.handler);
  await waitUntil(() => another.status().ended.completed === 2);
  // What the abandoned handlers do now counts no more.
  go.reject(new Error("too late"));
  assertEquals(next.all.map(({ attempt, deliveries }) => [attempt, deliveries]), [[1, 2], [1, 2]]);
  const counts = await queue.counts();
  assertEquals([counts?.active, counts?.delayed, counts?.dead], [0, 0, 0]);
});

Deno.test("JobConsumer.stop ends sooner when it is repeated with a shorter deadline, and not when it is repeated without one", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "slow" });
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  const consumer = queue.consume(runs.handler);
  await runs.started(1);
  const start = performance.now();
  const stopped = consumer.stop({ deadline: 60_000 });
  assertEquals(consumer.stop(), stopped);
  consumer.stop({ deadline: 100 });
  assertEquals(await stopped, { givenBack: 0, abandoned: ["slow"] });
  assertLess(performance.now() - start, 9_000);
  go.resolve();
});

Deno.test("JobConsumer.stop of an idle worker ends at once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const consumer = queue.consume(() => {});
  await waitUntil(() => consumer.status().state === "serving");
  const start = performance.now();
  assertEquals(await consumer.stop(), { givenBack: 0, abandoned: [] });
  assertLess(performance.now() - start, 4_000);
});

Deno.test("JobConsumer.stop ends within its deadline when the server does not answer", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 5 }, (_, n) => ({ data: n })));
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  const consumer = queue.consume(runs.handler, { prefetch: 2 });
  await waitUntil(() => consumer.status().prefetched === 2);
  server.suspend();
  // On a busy machine it takes a moment.
  await waitUntil(async () => await server.monitor("/healthz") === null);
  go.resolve();
  const start = performance.now();
  const { givenBack } = await consumer.stop({ deadline: 300 });
  assertLess(performance.now() - start, 4_000);
  assertEquals(givenBack, 0);
  server.resume();
});

Deno.test("JobConsumer.stop ends at once without a connection", async () => {
  await using stores = new QueueStores(undefined);
  const consumer = stores.jobQueue("checks").consume(() => {});
  const start = performance.now();
  assertEquals(await consumer.stop(), { givenBack: 0, abandoned: [] });
  assertLess(performance.now() - start, 4_000);
  assertEquals(consumer.status().state, "stopped");
});

Deno.test("JobConsumer stops when its signal aborts, also when it has aborted before", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const controller = new AbortController();
  const runs = new RecordedRuns();
  const consumer = queue.consume(runs.handler, { signal: controller.signal });
  await queue.publish(1);
  await runs.started(1);
  controller.abort();
  await consumer.closed;
  assertEquals(consumer.status().state, "stopped");
  const late = queue.consume(runs.handler, { signal: controller.signal });
  await late.closed;
  assertEquals(late.status().state, "stopped");
  await queue.publish(2);
  assertEquals(runs.all.length, 1);
});

Deno.test("JobConsumer stops at the end of an await using block", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns();
  let closed: Promise<void>;
  {
    await using consumer = queue.consume(runs.handler);
    closed = consumer.closed;
    await queue.publish(1);
    await runs.started(1);
  }
  await closed;
  assertEquals((await queue.counts())?.active, 0);
});

Deno.test("Ten rolling restarts of all workers cost a waiting job no attempt, and are no deliveries", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 30 }, (_, n) => ({ data: n, id: `job${n}` })));
  let go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  let givenBack = 0;
  for (let restart = 0; restart < 10; restart++) {
    go = Promise.withResolvers();
    const workers = [stores, others].map((one) =>
      one.jobQueue("checks").consume(runs.handler, { prefetch: 4, maxDeliveries: 2, maxAttempts: 1 })
    );
    await waitUntil(() => workers.every((worker) => worker.status().prefetched === 4));
    const stopping = workers.map((worker) => worker.stop());
    go.resolve();
    for (const summary of await Promise.all(stopping)) givenBack += summary.givenBack;
  }
  assertEquals([runs.all.length, givenBack], [20, 80]);
  await using consumer = queue.consume(runs.handler, { maxDeliveries: 2, maxAttempts: 1 });
  await waitUntil(() => consumer.status().ended.completed === 10);
  assertEquals(new Set(runs.ids).size, 30);
  assert(runs.all.every(({ attempt, deliveries }) => attempt === 1 && deliveries === 1));
  assertEquals((await queue.counts())?.dead, 0);
});

Deno.test("JobConsumer.stop gives back a job that a worker died with as such: that delivery counts", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 5_000 });
  await queue.publish(1, { id: "a" });
  const dying = queue.consume(() => new Promise(() => {}));
  await waitUntil(() => dying.status().active === 1);
  assertEquals((await dying.stop({ deadline: 0 })).abandoned, ["a"]);
  const go = Promise.withResolvers<void>();
  await queue.publish(1, { id: "long", priority: "high" });
  const consumer = queue.consume(() => go.promise, { prefetch: 1 });
  await waitUntil(() => consumer.status().active === 1 && consumer.status().prefetched === 1);
  const stopping = consumer.stop();
  await waitUntil(async () => (await queue.counts())?.ready.normal === 1);
  go.resolve();
  assertEquals(await stopping, { givenBack: 1, abandoned: [] });
  const runs = new RecordedRuns();
  await using _next = queue.consume(runs.handler);
  await runs.started(1);
  assertEquals(runs.all.map(({ id, attempt, deliveries }) => [id, attempt, deliveries]), [["a", 1, 2]]);
});
