import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import * as v from "valibot";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { ForeignClient } from "../_support/foreign_client.ts";
import { QueueStores } from "../_support/queue_stores.ts";
import { RecordedRuns } from "./_recorded_runs.ts";

const Check = v.object({ url: v.pipe(v.string(), v.url("Not a URL")), tries: v.optional(v.number(), 3) });

Deno.test("JobQueue with a schema refuses data that does not fit it, with the issues, and stores nothing", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { schema: Check });
  await queue.open();
  const bad = [{ url: "nowhere" }, { url: 5 }, {}, null, "text"];
  for (const data of bad) {
    await assertRejects(() => queue.publish(data as never), TypeError, "does not fit the queue's schema");
  }
  const error = await assertRejects(() => queue.publish({ url: "nowhere", tries: "many" } as never), TypeError);
  assertMatch(error.message, /url: Not a URL; tries: .*Expected number/);
  await assertRejects(
    () => queue.publishMany([{ data: { url: "http://a.b/", tries: 1 } }, { data: {} as never }]),
    TypeError,
  );
  assertEquals((await queue.counts())?.ready.normal, 0);
});

Deno.test("JobQueue with a schema refuses bad data also without a connection", async () => {
  await using stores = new QueueStores(undefined);
  const queue = stores.jobQueue("checks", { schema: Check });
  await assertRejects(() => queue.publish({ url: "nowhere", tries: 1 }), TypeError, "Not a URL");
  assertEquals(await queue.publish({ url: "http://a.b/", tries: 1 }), null);
});

Deno.test("JobQueue with a schema gives the handler what the schema makes of the data", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { schema: Check });
  const runs = new RecordedRuns<v.InferOutput<typeof Check>>((job) => assert(job.data.tries > 0));
  await queue.open();
  await foreign.publish("wq.checks.ready.normal.a", '{"url":"http://a.b/","more":1}');
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all[0].data, { url: "http://a.b/", tries: 3 });
});

Deno.test("JobConsumer sends a foreign job that does not fit the schema to the dead letters at once, with the issues", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { schema: Check });
  await queue.open();
  await foreign.publish("wq.checks.ready.high.bad", '{"url":"nowhere","tries":"many"}', { tenant: "t" });
  await foreign.publish("wq.checks.ready.low.good", '{"url":"http://a.b/"}');
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed + consumer.status().ended.dead === 2);
  assertEquals(runs.ids, ["good"]);
  const letters = await Array.fromAsync(queue.deadLetters());
  assertEquals(letters.map(({ id }) => id), ["bad"]);
  assertMatch(letters[0].reason, /does not fit the queue's schema: url: Not a URL; tries: .*Expected number/);
  assertEquals([letters[0].data as unknown, letters[0].headers], [{ url: "nowhere", tries: "many" }, { tenant: "t" }]);
});

Deno.test("JobQueue waits for a schema that takes its time", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const schema = v.pipeAsync(
    v.string(),
    v.checkAsync(async (text) => {
      await Promise.resolve();
      return text !== "no";
    }, "Not that"),
  );
  const queue = stores.jobQueue("checks", { schema });
  await assertRejects(() => queue.publish("no"), TypeError, "Not that");
  assertEquals((await queue.publish("yes", { id: "a" }))?.duplicate, false);
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all[0].data, "yes");
});

Deno.test("JobConsumer runs no handler for a job that is cancelled while its data is checked", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const checking = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const schema = v.pipeAsync(
    v.number(),
    v.checkAsync(async (value) => {
      if (value !== 1) return true;
      checking.resolve();
      await go.promise;
      return true;
    }),
  );
  const plain = stores.jobQueue("checks");
  const { sequence } = (await plain.publish(1, { id: "a" }))!;
  // The worker asks whether it was deleted once the server says so.
  let [isChecking, isAsked] = [false, false];
  foreign.connection.subscribe("$JS.API.STREAM.MSG.GET.WQ_checks", {
    callback: (_, message) => void (isAsked ||= isChecking && message.json<{ seq?: number }>().seq === sequence),
  });
  await foreign.connection.flush();
  const runs = new RecordedRuns();
  await using consumer = stores.jobQueue("checks", { schema }).consume(runs.handler);
  await within(checking.promise);
  isChecking = true;
  assertEquals(await plain.cancel("a"), true);
  await waitUntil(() => isAsked);
  await plain.publish(2, { id: "b" });
  // Answered behind the worker's question.
  await plain.get("b");
  go.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.ids, ["b"]);
  assertEquals(consumer.status().ended.released, 1);
});

Deno.test("JobQueue.schedule refuses data that does not fit the queue's schema", async () => {
  await using stores = new QueueStores(undefined);
  const queue = stores.jobQueue("checks", { schema: Check });
  const error = await assertRejects(
    () => queue.schedule("hourly", { every: 3_600_000, data: { url: "nowhere" } as never }),
    TypeError,
  );
  assertEquals(error.message, "Cannot keep the schedule as its data does not fit the queue's schema: url: Not a URL");
  assertEquals(await queue.schedule("hourly", { every: 3_600_000, data: { url: "http://a.b/", tries: 1 } }), null);
});
