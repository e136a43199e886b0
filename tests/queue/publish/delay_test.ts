import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

/** Milliseconds by which the server's schedules may fire late. */
const LATE = 10_000;

Deno.test("JobConsumer runs a delayed job when it is due, at its priority and with what belongs to it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const seen: unknown[] = [];
  const runs = new RecordedRuns(({ priority, headers, enqueuedAt, maxAttempts }) =>
    void seen.push([priority, headers, Math.abs(enqueuedAt.getTime() - published) < 10_000, maxAttempts])
  );
  await using consumer = queue.consume(runs.handler);
  await queue.open();
  const start = performance.now();
  const published = Date.now();
  await queue.publish({ n: 1 }, { id: "a.b", delay: 400, priority: "high", headers: { h: "v" }, maxAttempts: 8 });
  await queue.publish({ n: 2 }, { id: "c", runAt: new Date(published + 1_000) });
  await waitUntil(() => consumer.status().ended.completed === 2);
  // Two priorities come on ways of their own.
  const all = runs.all.toSorted((a, b) => a.id < b.id ? -1 : 1);
  assertEquals(all.map(({ id, data, attempt }) => [id, data, attempt]), [["a.b", { n: 1 }, 1], ["c", { n: 2 }, 1]]);
  assertEquals(seen.toSorted(), [["high", { h: "v" }, true, 8], ["normal", {}, true, 5]]);
  for (const [index, due] of [[0, 400], [1, 1_000]]) {
    assertGreater(all[index].at - start, due - 5);
    assertLess(all[index].at - start, due + LATE);
  }
});

Deno.test("JobConsumer runs a job of the past at once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns();
  await using _consumer = queue.consume(runs.handler);
  const start = performance.now();
  await queue.publish(1, { runAt: new Date(Date.now() - 60_000) });
  await queue.publish(1, { runAt: new Date("2001-01-01") });
  await runs.started(2);
  assertLess(runs.all[1].at - start, LATE);
});

Deno.test("JobConsumer runs many delayed jobs once each", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 500 }, (_, n) => ({ data: n, id: `job${n}`, delay: 300 + n % 200 })));
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler, { concurrency: 20 });
  await waitUntil(() => consumer.status().ended.completed === 500);
  assertEquals(new Set(runs.ids).size, 500);
  assert(runs.all.length === 500);
});
