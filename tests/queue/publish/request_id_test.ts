import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobQueue.publish recognises a repeat by its requestId while the job waits, and names the same job", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const first = await queue.publish("first", { requestId: "r1" });
  assertEquals(first?.duplicate, false);
  assertEquals(await queue.publish("again", { requestId: "r1" }), { ...first!, duplicate: true });
  assertEquals((await queue.get(first!.id))?.data, "first");
  const delayed = await queue.publish("first", { requestId: "r2", delay: 60_000 });
  assertEquals(await queue.publish("again", { requestId: "r2", delay: 60_000 }), { ...delayed!, duplicate: true });
  const named = await queue.publish("first", { requestId: "r3", id: "x" });
  assertEquals(await queue.publish("again", { requestId: "r3", id: "x" }), { ...named!, duplicate: true });
  assertEquals((await queue.counts())?.ready.normal, 2);
});

Deno.test("JobQueue.publish recognises a repeat by its requestId when the job is done meanwhile", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  const first = [
    await queue.publish(1, { requestId: "r1" }),
    await queue.publish(1, { requestId: "r2", id: "x" }),
    await queue.publish(1, { requestId: "r3", delay: 100 }),
  ];
  await waitUntil(() => consumer.status().ended.completed === 3);
  const again = [
    await queue.publish(1, { requestId: "r1" }),
    await others.jobQueue("checks").publish(1, { requestId: "r2", id: "x" }),
    await others.jobQueue("checks").publish(1, { requestId: "r3" }),
  ];
  assertEquals(again.map((receipt) => receipt?.duplicate), [true, true, true]);
  assertEquals(again.map((receipt) => receipt?.id), first.map((receipt) => receipt?.id));
  await queue.publish("last", { id: "last" });
  await runs.started(4);
  assertEquals(runs.ids[3], "last");
});

Deno.test("JobQueue.publish takes two jobs of different requestIds for two", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const receipts = [
    await queue.publish("same", { requestId: "r1" }),
    await queue.publish("same", { requestId: "r2" }),
    await queue.publish("same"),
    await queue.publish("same"),
  ];
  assertEquals(receipts.map((receipt) => receipt?.duplicate), [false, false, false, false]);
  assertEquals(new Set(receipts.map((receipt) => receipt?.id)).size, 4);
});

Deno.test("JobQueue.publish with only a requestId adds no job where one of that id waits", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const waiting = await queue.publish("waiting", { id: "x", delay: 60_000 });
  const expected = { ...waiting!, duplicate: true };
  assertEquals(await queue.publish("other", { requestId: "x" }), expected);
  assertEquals(await queue.publishMany([{ data: "other", requestId: "x" }], { atomic: true }), [expected]);
  assertEquals((await queue.get("x"))?.data, "waiting");
  assertEquals((await queue.counts())?.ready.normal, 0);
});
