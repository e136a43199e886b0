import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { QueueStores } from "../_support/queue_stores.ts";
import { RecordedRuns } from "./_recorded_runs.ts";

/** All calls of a queue that give null without a connection. */
function calls(stores: QueueStores): [name: string, call: () => Promise<unknown>][] {
  const queue = stores.jobQueue("checks");
  return [
    ["publishJob", () => stores.publishJob("checks", 1)],
    ["publishJobs", () => stores.publishJobs("checks", [{ data: 1 }])],
    ["consumeJobs", () => stores.consumeJobs("checks", () => {})],
    ["publish", () => queue.publish(1, { id: "a", delay: 5 })],
    ["publishMany", () => queue.publishMany([{ data: 1 }, { data: 2 }])],
    ["publishMany, atomic", () => queue.publishMany([{ data: 1 }, { data: 2 }], { atomic: true })],
    ["get", () => queue.get("a")],
    ["cancel", () => queue.cancel("a")],
    ["counts", () => queue.counts()],
    ["redrive", () => queue.redrive("a")],
    ["redrive all", () => queue.redrive("all")],
    ["discard", () => queue.discard("a")],
    ["purge", () => queue.purge()],
    ["destroy", () => queue.destroy()],
    ["open", () => queue.open()],
  ];
}

Deno.test("JobQueue gives null at once for every call without a server", async () => {
  await using stores = new QueueStores(undefined);
  for (const [name, call] of calls(stores)) {
    const start = performance.now();
    assertEquals(await call(), null, name);
    assertLess(performance.now() - start, 10_000, name);
  }
  const error = await assertRejects(
    () => Array.fromAsync(stores.jobQueue("checks").deadLetters()),
    JetStreamStoreError,
  );
  assertEquals((error as JetStreamStoreError).code, "disconnected");
});

Deno.test("JobQueue gives null within its deadline for every call when the server does not answer", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url, { timeout: 200 });
  await stores.jobQueue("checks").open();
  proxy.tampering.drop = () => true;
  await Promise.all(
    calls(stores).map(async ([name, call]) => {
      const start = performance.now();
      assertEquals(await call(), null, name);
      assertLess(performance.now() - start, 4_000, name);
    }),
  );
});

Deno.test("JobQueue gives null when the server is gone, and what is there when it is back", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a" });
  await server.stop();
  await waitUntil(() => stores.connectionStatus() === "reconnecting");
  assertEquals(await queue.get("a"), null);
  await server.restart();
  await waitUntil(() => stores.connectionStatus() === "connected");
  assertEquals((await queue.get("a"))?.data, 1);
});

Deno.test("consumeJobs gives a consumer when there is a connection", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const runs = new RecordedRuns();
  await using consumer = await stores.consumeJobs("checks", runs.handler, { concurrency: 2 });
  assert(consumer);
  await stores.publishJob("checks", 1);
  await runs.started(1);
});

Deno.test("JobQueue.consume starts by itself when the server appears later", async () => {
  await using first = await startNatsServer();
  const { port, url } = first;
  await first.stop();
  await using stores = new QueueStores(url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  assertEquals(consumer.status().state, "connecting");
  assertEquals(await queue.publish(1), null);
  await using _server = await startNatsServer({ port });
  await waitUntil(() => consumer.status().state === "serving");
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.ids, ["a"]);
});

Deno.test("JobConsumer continues when the server was down for a while", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await queue.publish(1, { id: "before" });
  await runs.started(1);
  await server.stop();
  await waitUntil(() => consumer.status().state === "connecting");
  await server.restart();
  await waitUntil(() => consumer.status().state === "serving");
  await waitUntil(async () => await queue.publish(1, { id: "after" }) !== null);
  await runs.started(2);
  assertEquals(runs.ids, ["before", "after"]);
});

Deno.test("close stops consumers: what runs ends, what waits is given back", async () => {
  await using server = await startNatsServer();
  await using others = new QueueStores(server.url);
  const stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  const consumer = queue.consume(runs.handler, { prefetch: 5 });
  await queue.publishMany(Array.from({ length: 10 }, (_, n) => ({ data: n, id: `job${n}` })));
  await waitUntil(() => consumer.status().active === 1 && consumer.status().prefetched === 5);
  const closing = stores.close();
  go.resolve();
  await closing;
  await consumer.closed;
  assertEquals(consumer.status().state, "stopped");
  assertEquals(consumer.status().ended.completed, 1);
  assertEquals(runs.all.length, 1);
  assertEquals(stores.connectionStatus(), "closed");
  const counts = await others.jobQueue("checks").counts();
  assertEquals([counts?.ready.normal, counts?.active], [9, 0]);
  assertEquals(await queue.publish(1), null);
});

Deno.test("close abandons handlers that do not end within its deadline", async () => {
  await using server = await startNatsServer();
  const stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const aborted = Promise.withResolvers<void>();
  const runs = new RecordedRuns(async (job) => {
    job.signal.addEventListener("abort", () => aborted.resolve());
    await aborted.promise;
  });
  queue.consume(runs.handler);
  await queue.publish(1);
  await runs.started(1);
  const start = performance.now();
  await stores.close({ deadline: 200 });
  assertLess(performance.now() - start, 4_000);
  await within(aborted.promise);
});
