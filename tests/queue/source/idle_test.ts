import { assert, assertEquals, assertLess } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer starts a job within a few milliseconds of its publish when it is idle", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using producer = new QueueStores(server.url);
  const queue = producer.jobQueue("checks");
  const runs = new RecordedRuns();
  await using consumer = stores.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => consumer.status().state === "serving");
  const priorities = ["high", "normal", "low"] as const;
  const waits: number[] = [];
  for (let n = 0; n < 60; n++) {
    const start = performance.now();
    await queue.publish(n, { priority: priorities[n % 3] });
    await waitUntil(() => consumer.status().ended.completed === n + 1);
    waits.push(runs.all[n].at - start);
  }
  waits.sort((a, b) => a - b);
  // Of a busy machine the quicker ones say how long it takes by itself; whoever polls would be late in most.
  assertLess(waits[12], 50, `waits: ${waits}`);
  assertLess(waits[45], 500, `waits: ${waits}`);
});

Deno.test("Waiting workers send the server nothing, and receive only heartbeats", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1);
  const consumers = Array.from({ length: 5 }, () => queue.consume(() => {}, { concurrency: 10 }));
  const completed = () => consumers.reduce((sum, consumer) => sum + consumer.status().ended.completed, 0);
  await waitUntil(() => consumers.every((consumer) => consumer.status().state === "serving") && completed() === 1);
  const messages = async () => {
    const { in_msgs, out_msgs } = (await server.monitor("/varz"))!;
    return { in: in_msgs as number, out: out_msgs as number };
  };
  // The last pulls have been sent, and the first looks for what belongs to nobody are over, when the server's count stands still; the next looks come
  // when a lease is over.
  let before = await messages();
  await waitUntil(async () => {
    const last = before;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    return (before = await messages()).in === last.in;
  });
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const after = await messages();
  const seconds = (performance.now() - start) / 1_000;
  assertEquals(after.in - before.in, 0);
  // One heartbeat every 2 s for each of three pulls of five workers.
  assert(after.out - before.out <= (seconds / 2 + 1) * 15, `${after.out - before.out} messages`);
  assert(after.out - before.out >= 15, `${after.out - before.out} heartbeats`);
  await Promise.all(consumers.map((consumer) => consumer.stop()));
});
