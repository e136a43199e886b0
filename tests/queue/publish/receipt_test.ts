import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

Deno.test("JobQueue.publish returns the id, the queue and the sequence of the stored message", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const receipts = [await queue.publish({ n: 1 }, { id: "one" }), await queue.publish({ n: 2 }, { id: "two" })];
  assertEquals(receipts, [
    { id: "one", queue: "checks", sequence: 1, duplicate: false },
    { id: "two", queue: "checks", sequence: 2, duplicate: false },
  ]);
  assertEquals((await foreign.messages("WQ_checks")).map(({ sequence, body }) => [sequence, body]), [
    [1, '{"n":1}'],
    [2, '{"n":2}'],
  ]);
});

Deno.test("JobQueue.publish makes an id of its own for a job without one", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const [one, two] = [await queue.publish(1), await queue.publish(1)];
  assert(one && two);
  assertNotEquals(one.id, two.id);
  assertEquals([one.duplicate, two.duplicate], [false, false]);
  assertEquals((await queue.get(one.id))?.data, 1);
});

Deno.test("publishJob and publishJobs give the receipts of the queue of that name", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  assertEquals(await stores.publishJob("mails", { to: "ann" }, { id: "a" }), {
    id: "a",
    queue: "mails",
    sequence: 1,
    duplicate: false,
  });
  assertEquals(await stores.publishJobs("mails", [{ data: 1, id: "a" }, { data: 2, id: "b", priority: "high" }]), [
    { id: "a", queue: "mails", sequence: 1, duplicate: true },
    { id: "b", queue: "mails", sequence: 2, duplicate: false },
  ]);
  assertEquals((await stores.jobQueue("mails").get("b"))?.priority, "high");
});

Deno.test("JobQueue.publish takes every JSON value, and any text as id", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const values = [null, false, 0, "", "ü💥\u0000", [], {}, [{ deep: [1.5, null] }], "\ud800"];
  for (const [index, value] of values.entries()) await queue.publish(value, { id: `value ${index}` });
  for (const [index, value] of values.entries()) assertEquals((await queue.get(`value ${index}`))?.data, value);
  const ids = ["a.b", "*", ">", " ", "=", "https://example.com/a?b=c#d", "ü💥", "@tick", "x".repeat(2_200)];
  for (const id of ids) assertEquals((await queue.publish(id, { id }))?.duplicate, false, id);
  for (const id of ids) assertEquals((await queue.get(id))?.data, id);
});
