import { assert, assertEquals, assertMatch } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const LARGE = "x".repeat(5_000);

/** Limits the size of a stream's messages; -1 lifts the limit. */
async function limitSize(foreign: ForeignClient, stream: string, max_msg_size: number): Promise<void> {
  const { config } = (await foreign.stream(stream))!;
  await foreign.api(`STREAM.UPDATE.${stream}`, { ...config, max_msg_size });
}

Deno.test("JobConsumer keeps a job whose dead letter is too large in the queue, runs others, and buries it once the limit is lifted", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns(({ id }) => {
    if (id.startsWith("fails")) throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { maxAttempts: 1 });
  await queue.publish(1, { id: "fails small" });
  await waitUntil(() => consumer.status().ended.dead === 1);
  await limitSize(foreign, "WQDEAD_checks", 2_000);
  await queue.publish(LARGE, { id: "fails large" });
  await runs.started(2);
  await queue.publish(1, { id: "fails too" });
  await queue.publish(2, { id: "works" });
  await waitUntil(() => consumer.status().ended.completed === 1 && consumer.status().ended.dead === 2);
  // Delivered again, and not run again.
  await waitUntil(() => consumer.status().ended.released >= 2);
  assertEquals(consumer.status().state, "serving");
  assertEquals((await queue.get("fails large"))?.data, LARGE);
  const lines = stores.log.filter((line) => line.includes("cannot become a dead letter"));
  assertEquals(lines.length, 1, lines.join("\n"));
  assertMatch(lines[0], /Job fails large of queue checks .* stays in the queue: .*message size exceeds maximum/);
  await limitSize(foreign, "WQDEAD_checks", -1);
  await waitUntil(() => consumer.status().ended.dead === 3);
  assertEquals((await queue.deadLetter("fails large"))?.data, LARGE);
  assertEquals(runs.ids.toSorted(), ["fails large", "fails small", "fails too", "works"]);
});

Deno.test("JobConsumer does not run a job again whose dead letter another worker could not store as it was too large", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns(() => {
    throw new Error("no");
  });
  const first = queue.consume(runs.handler, { maxAttempts: 1 });
  await queue.publish(1, { id: "small" });
  await waitUntil(() => first.status().ended.dead === 1);
  await limitSize(foreign, "WQDEAD_checks", 2_000);
  await queue.publish(LARGE, { id: "large" });
  await waitUntil(() => first.status().ended.released >= 1);
  await first.stop();
  await using second = others.jobQueue("checks").consume(runs.handler, { maxAttempts: 1 });
  await waitUntil(() => second.status().ended.released >= 1);
  await limitSize(foreign, "WQDEAD_checks", -1);
  await waitUntil(() => second.status().ended.dead === 1);
  assertEquals(runs.ids, ["small", "large"]);
});

Deno.test("JobConsumer retries a job in its place that the stream of the queue takes in no copy", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const gate = Promise.withResolvers<void>();
  const runs = new RecordedRuns(async ({ id, attempt }) => {
    await gate.promise;
    if (id === "large" && attempt < 3) throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 2, backoff: 10 });
  await queue.publish(LARGE, { id: "large" });
  await runs.started(1);
  await limitSize(foreign, "WQ_checks", 2_000);
  await queue.publish(1, { id: "small" });
  gate.resolve();
  await waitUntil(() => consumer.status().ended.completed === 2);
  const attempts = runs.all.filter(({ id }) => id === "large").map(({ attempt }) => attempt);
  assertEquals(attempts, [1, 2, 3]);
  assertEquals(consumer.status().ended.retried, 2);
  assert(!stores.log.some((line) => line.includes("starts no jobs")), stores.log.join("\n"));
});

Deno.test("JobConsumer completes a job whose result is larger than its bucket takes, and keeps that it is completed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(({ data }) => data === 0 ? 0 : LARGE);
  await queue.publish(0, { id: "first", keepResult: 60_000 });
  await waitUntil(() => consumer.status().ended.completed === 1);
  await limitSize(foreign, "KV_wq_checks", 2_000);
  await queue.publish(1, { id: "large", keepResult: 60_000 });
  await waitUntil(() => consumer.status().ended.completed === 2);
  assertEquals(await queue.result("large"), { value: undefined });
  assertEquals(consumer.status().state, "serving");
});
