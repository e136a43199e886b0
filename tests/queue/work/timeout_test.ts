import { assert, assertEquals, assertGreater, assertInstanceOf, assertMatch } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer aborts the signal of an attempt that takes too long, and counts it as failed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const reasons: unknown[] = [];
  const runs = new RecordedRuns(({ signal }) =>
    new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => {
        reasons.push(signal.reason);
        resolve();
      })
    )
  );
  await using consumer = queue.consume(runs.handler, { timeout: 60, maxAttempts: 2, backoff: 0 });
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals(runs.all.map(({ attempt }) => attempt), [1, 2]);
  assertInstanceOf(reasons[0], DOMException);
  assertEquals((reasons[0] as DOMException).name, "TimeoutError");
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertMatch(letter.reason, /60 ms/);
  assertEquals(letter.attempts, 2);
});

Deno.test("JobConsumer goes by a job's own timeout before its own", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const took = new Map<string, number>();
  await using consumer = queue.consume(async ({ id, signal }) => {
    const start = performance.now();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    took.set(id, performance.now() - start);
  }, { timeout: 4_000, maxAttempts: 1, concurrency: 2 });
  await queue.publish(1, { id: "default" });
  await queue.publish(1, { id: "short", timeout: 50 });
  await waitUntil(() => consumer.status().ended.dead === 2);
  assertEquals([...took.keys()], ["short", "default"]);
  assertGreater(took.get("default")!, 3_980);
});

Deno.test("JobConsumer retries a job whose handler ignores its timeout, and ignores how that run ends", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const go = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  const runs = new RecordedRuns(async ({ attempt, signal }) => {
    if (attempt > 1) return;
    await go.promise;
    assert(signal.aborted);
    late.resolve();
    throw new Error("nobody hears of it");
  });
  await using consumer = queue.consume(runs.handler, { timeout: 50, backoff: 0 });
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().ended.completed === 1);
  go.resolve();
  await within(late.promise);
  assertEquals(runs.all.map(({ attempt }) => attempt), [1, 2]);
  const { completed, retried, dead } = consumer.status().ended;
  assertEquals([completed, retried, dead], [1, 1, 0]);
  assertEquals((await queue.counts())?.active, 0);
});

Deno.test("JobConsumer lets a handler that is quicker than its timeout alone", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  let signal: AbortSignal | undefined;
  await using consumer = queue.consume((job) => void (signal = job.signal), { timeout: 50 });
  await queue.publish(1);
  await waitUntil(() => consumer.status().ended.completed === 1);
  await queue.publish(2, { delay: 100 });
  const first = signal;
  await waitUntil(() => consumer.status().ended.completed === 2);
  assertEquals(first?.aborted, false);
});
