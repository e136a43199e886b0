import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobQueue with a dedupe window recognises an id when its job is done, until the window is over", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { dedupe: 60_000 });
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals((await queue.publish(1, { id: "a" }))?.duplicate, true);
  assertEquals((await queue.publish(1, { id: "a", priority: "high" }))?.duplicate, true);
  assertEquals((await queue.publish(1, { id: "b" }))?.duplicate, false);
  await waitUntil(() => consumer.status().ended.completed === 2);
  assertEquals(runs.ids, ["a", "b"]);
  // The window over: a shorter one in its place.
  const { config } = (await foreign.stream("WQ_checks"))!;
  assertEquals(config.duplicate_window, 60e9);
  await foreign.api("STREAM.UPDATE.WQ_checks", { ...config, duplicate_window: 100e6 });
  await waitUntil(async () => (await queue.publish(1, { id: "a" }))?.duplicate === false);
  await waitUntil(() => runs.ids.length === 3);
});

Deno.test("JobQueue keeps its dedupe window on the server, for those who do not name it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { dedupe: 60_000 });
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await queue.publish(1, { id: "a" });
  await others.publishJob("checks", 1, { id: "b" });
  await waitUntil(() => consumer.status().ended.completed === 2);
  assertEquals((await others.publishJob("checks", 1, { id: "a" }))?.duplicate, true);
  assertEquals((await queue.publish(1, { id: "b" }))?.duplicate, true);
  assertEquals((await others.publishJobs("checks", [{ data: 1, id: "a" }]))?.[0]?.duplicate, true);
});

Deno.test("JobQueue whose dedupe window others change goes by that, though it was opened before", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await using _consumer = queue.consume(() => {});
  const isRemembered = async () => {
    const id = crypto.randomUUID();
    await queue.publish(1, { id });
    await waitUntil(async () => await queue.get(id) === null);
    return (await queue.publish(1, { id }))?.duplicate === true;
  };
  assertEquals(await isRemembered(), false);
  await others.jobQueue("checks", { dedupe: 60_000 }).open();
  await waitUntil(isRemembered);
  await others.jobQueue("checks", { dedupe: 0 }).open();
  await waitUntil(async () => !await isRemembered());
});

Deno.test("JobQueue with a dedupe window recognises a repeat by its requestId, too", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { dedupe: 60_000 });
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  const first = await queue.publish(1, { requestId: "r" });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(await queue.publish(1, { requestId: "r" }), { ...first!, duplicate: true });
  assertEquals((await queue.publish(1, { requestId: "s" }))?.duplicate, false);
  assertEquals((await queue.publish(1))?.duplicate, false);
});

Deno.test("JobQueue without a dedupe window takes an id again as soon as its job is done", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  for (let round = 1; round <= 3; round++) {
    assertEquals((await queue.publish(round, { id: "a" }))?.duplicate, false);
    await waitUntil(() => consumer.status().ended.completed === round);
  }
});
