import { assert, assertEquals, assertGreater } from "@std/assert";
import type { PublishOptions } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

/** All ways of publishing a job of the same id. */
const WAYS: PublishOptions[] = [
  {},
  { priority: "high" },
  { priority: "low" },
  { delay: 60_000 },
  { delay: 60_000, priority: "high" },
  { runAt: new Date(Date.now() + 60_000), priority: "low" },
  { key: "k" },
  { key: "another" },
];

Deno.test("JobQueue.publish gives a duplicate receipt for an id that waits, over all priorities, delays and keys", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  for (const [index, first] of WAYS.entries()) {
    const id = `job.${index}`;
    const receipt = await queue.publish("first", { id, ...first });
    assert(receipt && !receipt.duplicate);
    for (const second of WAYS) {
      assertEquals(await queue.publish("2nd", { id, ...second }), { ...receipt, duplicate: true });
    }
    assertEquals((await queue.get(id))?.data, "first");
  }
  assertEquals((await foreign.messages("WQ_checks")).length, WAYS.length);
});

Deno.test("JobQueue.publish gives a duplicate receipt for an id that runs, waits for its retry, or was handed back", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  await queue.publish("first", { id: "a" });
  await using consumer = queue.consume(runs.handler, { backoff: 60_000 });
  await runs.started(1);
  for (const way of WAYS) assertEquals((await queue.publish("second", { id: "a", ...way }))?.duplicate, true);
  go.reject(new Error("the first attempt fails"));
  await waitUntil(() => consumer.status().ended.retried === 1);
  for (const way of WAYS) assertEquals((await queue.publish("second", { id: "a", ...way }))?.duplicate, true);
  assertEquals((await queue.get("a"))?.data, "first");
});

Deno.test("JobQueue.publish takes an id again once its job is done, dead, cancelled or purged", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<unknown>("checks");
  const runs = new RecordedRuns(({ data }) => {
    if (data === "fails") throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { maxAttempts: 1 });
  for (const data of ["ends", "fails", "ends"]) {
    const { completed, dead } = consumer.status().ended;
    assertEquals((await queue.publish(data, { id: "a" }))?.duplicate, false);
    await waitUntil(() => consumer.status().ended.completed + consumer.status().ended.dead > completed + dead);
  }
  await consumer.stop();
  assertEquals((await queue.publish(1, { id: "a" }))?.duplicate, false);
  assertEquals(await queue.cancel("a"), true);
  assertEquals((await queue.publish(1, { id: "a" }))?.duplicate, false);
  assertEquals(await queue.purge(), 1);
  assertEquals((await queue.publish(1, { id: "a" }))?.duplicate, false);
});

Deno.test("JobQueue.publish lets one of many publishes of an id win, from several connections at once", async () => {
  await using server = await startNatsServer();
  await using one = new QueueStores(server.url, { timeout: 20_000 });
  await using two = new QueueStores(server.url, { timeout: 20_000 });
  const receipts = await Promise.all(
    Array.from({ length: 200 }, (_, index) => {
      const options = { id: `id${index % 10}`, ...WAYS[index % WAYS.length] };
      return (index % 2 ? one : two).jobQueue("checks").publish(index, options);
    }),
  );
  assertEquals(receipts.filter((receipt) => receipt?.duplicate === false).length, 10);
  assertEquals(receipts.filter((receipt) => receipt?.duplicate === true).length, 190);
  const sequences = new Map<string, Set<number>>();
  for (const receipt of receipts) {
    assertGreater(receipt!.sequence, 0);
    sequences.set(receipt!.id, (sequences.get(receipt!.id) ?? new Set()).add(receipt!.sequence));
  }
  assert([...sequences.values()].every((set) => set.size === 1), "all receipts of an id name the same message");
});

Deno.test("JobQueue.publish keeps the ids of each queue apart", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  for (const name of ["a", "b", "a-b", "A"]) {
    assertEquals((await stores.publishJob(name, 1, { id: "x", requestId: "r" }))?.duplicate, false);
  }
});
