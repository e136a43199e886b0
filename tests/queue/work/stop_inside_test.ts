import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import type { JobConsumer, StopSummary } from "../../../mod.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

/** Long enough that a wait for its end would fail the test. */
const DEADLINE = { deadline: 600_000 };

Deno.test("JobConsumer.stop inside a handler waits for the other runs, not for its own, which is then acknowledged", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const go = Promise.withResolvers<void>();
  const summaries: StopSummary[] = [];
  const order: string[] = [];
  const worker: JobConsumer<string> = queue.consume(async ({ data }) => {
    if (data === "other") await go.promise;
    else {
      await waitUntil(() => worker.status().active === 3);
      // Repeated, and beside each other.
      summaries.push(...await Promise.all([worker.stop(DEADLINE), worker.stop(DEADLINE)]));
    }
    order.push(data);
  }, { concurrency: 3 });
  await queue.publishMany(["other", "stops", "stops too"].map((id) => ({ data: id, id })));
  await waitUntil(() => worker.status().state === "stopping");
  await waitUntil(() => worker.status().active === 3);
  assertEquals(order, []);
  const outside = worker.stop();
  go.resolve();
  await within(worker.closed);
  assertEquals(order.toSorted(), ["other", "stops", "stops too"]);
  assertEquals(order[0], "other");
  assertEquals(summaries, Array(4).fill({ givenBack: 0, abandoned: [] }));
  assertEquals(await outside, { givenBack: 0, abandoned: [] });
  assertEquals(worker.status().ended.completed, 3);
  const counts = await queue.counts();
  assertEquals([counts?.active, counts?.ready.normal, counts?.dead], [0, 0, 0]);
});

Deno.test("JetStreamStores.close inside a handler does not wait for its own run, whose end is reported before the connection closes", async () => {
  await using server = await startNatsServer();
  await using admin = new QueueStores(server.url);
  for (const [name, outcome] of [["returns", "completed"], ["throws", "dead"]] as const) {
    const stores = new QueueStores(server.url);
    const queue = stores.jobQueue(name);
    await queue.publish(1, { id: "a" });
    const closed = Promise.withResolvers<void>();
    const worker = queue.consume(async () => {
      await stores.close(DEADLINE);
      closed.resolve();
      if (name === "throws") throw new Error("no");
    }, { maxAttempts: 1 });
    await within(closed.promise);
    await within(worker.closed);
    assertEquals(worker.status().ended[outcome], 1);
    await waitUntil(() => stores.connectionStatus() === "closed");
    const counts = await admin.jobQueue(name).counts();
    assertEquals([counts?.active, counts?.ready.normal, counts?.dead], [0, 0, name === "throws" ? 1 : 0]);
  }
});

Deno.test("JobConsumer.stop inside the handler of a batch waits for no job of it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.publishMany(Array.from({ length: 5 }, (_, data) => ({ data })));
  const worker: JobConsumer<number> = queue.consumeBatches(() => worker.stop(DEADLINE), { size: 5, wait: 5_000 });
  await within(worker.closed);
  assertEquals(worker.status().ended.completed, 5);
});

Deno.test("JobConsumer.stop inside another worker's handler waits for all runs of this one", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const go = Promise.withResolvers<void>();
  const slow = stores.jobQueue("slow").consume(() => go.promise);
  await stores.publishJob("slow", 1, { id: "a" });
  await waitUntil(() => slow.status().active === 1);
  let completed = -1;
  await using quick = stores.jobQueue("quick").consume(async () => {
    await slow.stop(DEADLINE);
    completed = slow.status().ended.completed;
  });
  await stores.publishJob("quick", 1);
  await waitUntil(() => slow.status().state === "stopping");
  go.resolve();
  await waitUntil(() => quick.status().ended.completed === 1);
  assertEquals(completed, 1);
});

Deno.test("JobConsumer.stop, called by what a handler has left behind, waits for all runs", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const go = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  const stopped: Promise<number>[] = [];
  const stop = async () => {
    await leave.promise;
    await worker.stop(DEADLINE);
    return worker.status().ended.completed;
  };
  // One handler returns no promise, the other one does.
  const worker: JobConsumer<string> = queue.consume(({ data }) => {
    if (data === "slow") return go.promise;
    stopped.push(stop());
    return data === "sync" ? null : Promise.resolve();
  }, { concurrency: 3 });
  await queue.publishMany(["slow", "sync", "async"].map((data) => ({ data })));
  await waitUntil(() => worker.status().ended.completed === 2);
  leave.resolve();
  await waitUntil(() => worker.status().state === "stopping");
  assertEquals(worker.status().active, 1);
  go.resolve();
  assertEquals(await within(Promise.all(stopped)), [3, 3]);
});

Deno.test("JobConsumer.stop in a microtask of a handler that has returned no promise waits for the end of its run", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const { promise: completed, resolve } = Promise.withResolvers<number>();
  const worker: JobConsumer<number> = queue.consume(() => {
    queueMicrotask(() => worker.stop(DEADLINE).then(() => resolve(worker.status().ended.completed)));
  });
  await queue.publish(1);
  assertEquals(await within(completed), 1);
});
