import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

Deno.test("JobQueue.destroy removes all of a queue, and returns whether there was one", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { maxAttempts: 1 });
  await queue.publish(1, { delay: 60_000 });
  await stores.publishJob("other", 1);
  {
    await using consumer = queue.consume(() => {
      throw new Error("no");
    });
    await waitUntil(() => consumer.status().ended.dead === 1);
  }
  assertEquals(await admin.jobQueue("checks").destroy(), true);
  const { streams } = await foreign.api<{ streams: string[] }>("STREAM.NAMES");
  assertEquals(streams, ["WQ_other"]);
  assertEquals(await admin.jobQueue("checks").destroy(), false);
  assertEquals(await queue.counts(), null);
  assertEquals(await Array.fromAsync(queue.deadLetters()), []);
});

Deno.test("JobQueue.publish makes a queue again that another process destroyed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a" });
  assertEquals(await admin.jobQueue("checks").destroy(), true);
  assertEquals(await queue.publish(1, { id: "a" }), { id: "a", queue: "checks", sequence: 1, duplicate: false });
  assertEquals(await admin.jobQueue("checks").destroy(), true);
  const receipts = await queue.publishMany([{ data: 1, id: "b" }, { data: 2, id: "c", delay: 60_000 }]);
  assertEquals(receipts?.map((receipt) => receipt?.duplicate), [false, false]);
  assertEquals(await admin.jobQueue("checks").destroy(), true);
  assertEquals((await queue.publishMany([{ data: 1, id: "b" }], { atomic: true }))?.[0]?.duplicate, false);
  await queue.publish(1, { id: "keyed", key: "k" });
  assertEquals(await admin.jobQueue("checks").destroy(), true);
  assertEquals((await queue.publish(1, { id: "keyed", key: "k" }))?.duplicate, false);
  const runs = new RecordedRuns();
  await using _consumer = admin.jobQueue("checks").consume(runs.handler);
  await runs.started(1);
  assertEquals(runs.ids, ["keyed"]);
});

test("Whatever else makes a queue makes it again when another process destroyed it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const calls = [
    () => queue.open(),
    () => queue.pause(new Date(0)),
    () => queue.resume(),
    () => queue.limitActive({ low: 1 }),
    () => queue.schedule("s", { every: 60_000, data: 1 }),
    async () => await (await stores.consumeJobs("checks", () => {}))?.stop() !== undefined,
  ];
  await queue.open();
  for (const call of calls) {
    // By the handle of the functions, too.
    await stores.publishJob("checks", 1);
    await admin.jobQueue("checks").destroy();
    const begun = performance.now();
    assertEquals([call.toString(), await call()], [call.toString(), true]);
    assert(performance.now() - begun < 10_000, call.toString());
    assert(await queue.counts(), call.toString());
  }
});

Deno.test("JobConsumer serves again when its queue was destroyed and is made again, and the run of the old one reports nothing", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(({ id }) => id === "old" ? go.promise : undefined);
  await using consumer = queue.consume(runs.handler, { concurrency: 2 });
  await queue.publish(1, { id: "old" });
  await runs.started(1);
  await admin.jobQueue("checks").destroy();
  await waitUntil(async () => (await admin.jobQueue("checks").publish(1, { id: "new" })) !== null);
  await runs.started(2);
  assertEquals(runs.ids, ["old", "new"]);
  go.resolve();
  await waitUntil(() => consumer.status().active === 0);
  assertEquals(consumer.status().state, "serving");
  assertEquals((await admin.jobQueue("checks").counts())?.active, 0);
});

for (const concurrency of [1, 2]) {
  Deno.test(`JobConsumer that runs ${concurrency} at a time does not report a run of a destroyed queue to the one that was made again`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    await using admin = new QueueStores(server.url);
    const go = Promise.withResolvers<void>();
    const heard = Promise.withResolvers<void>();
    const old = new RecordedRuns(({ id, signal }) => {
      if (id !== "old") return;
      signal.addEventListener("abort", () => heard.resolve());
      return go.promise;
    });
    await using consumer = stores.jobQueue("checks").consume(old.handler, { concurrency, priorities: ["low"] });
    await stores.jobQueue("checks").publish(1, { id: "old", priority: "low" });
    await old.started(1);
    const queue = admin.jobQueue("checks");
    await queue.destroy();
    assertEquals((await queue.publish(1, { id: "new", maxAttempts: 1, priority: "low" }))?.sequence, 1);
    const fail = Promise.withResolvers<void>();
    // Where the first worker has the job, nobody else waits for it.
    fail.promise.catch(() => {});
    const runs = new RecordedRuns(() => fail.promise);
    await using other = queue.consume(runs.handler);
    await waitUntil(() => runs.all.length + old.all.length === 2);
    // Until the server has told the first worker, the run might still be acknowledged.
    await within(heard.promise);
    go.resolve();
    await waitUntil(() => consumer.status().active === 0);
    fail.reject(new Error("broken"));
    await waitUntil(() =>
      other.status().ended.dead + consumer.status().ended.completed + other.status().ended.released > 0
    );
    assertEquals([consumer.status().ended.released, other.status().ended.released], [1, 0]);
  });
}
