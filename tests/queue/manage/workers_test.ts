import { assert, assertEquals, assertRejects } from "@std/assert";
import process from "node:process";
import { JetStreamStoreError, type WorkerInfo } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { openStores } from "../../_support/open_stores.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

Deno.test("JobQueue.workers lists the workers of the queue, since when, and how busy each is", async () => {
  await using server = await startNatsServer();
  await using first = openStores(server.url, { name: "mailer" });
  await using second = new QueueStores(server.url);
  await using viewer = new QueueStores(server.url);
  const queue = viewer.jobQueue<number>("mails");
  assertEquals(await queue.workers(), [], "nobody works yet");
  const go = Promise.withResolvers<void>();
  const began = Date.now();
  await using busy = first.jobQueue("mails").consume(() => go.promise, { concurrency: 3, priorities: ["low", "high"] });
  await queue.publishMany([{ data: 1, priority: "high" }, { data: 2, priority: "low" }]);
  await waitUntil(() => busy.status().active === 2);
  await using failing = second.jobQueue("mails").consume(() => {
    throw new Error("no");
  }, { priorities: ["normal"], maxAttempts: 1 });
  await using _other = second.jobQueue("reports").consume(() => {});
  await queue.publish(3);
  await waitUntil(() => failing.status().ended.dead === 1);

  // One that does not answer in time is not listed.
  let workers: WorkerInfo[] | null = null;
  await waitUntil(async () => (workers = await queue.workers())?.length === 2);
  const [{ id, since, ...one }, two] = workers!;
  assertEquals(one, {
    ...{ name: "mailer", address: "127.0.0.1", pid: process.pid, state: "serving", reason: null },
    ...{ concurrency: 3, active: 2, prefetched: 0, priorities: ["high", "low"], keyed: false, completed: 0, failed: 0 },
  });
  assert(id !== two.id && since.getTime() >= began && since <= two.since);
  assertEquals([two.active, two.completed, two.failed, two.priorities], [0, 0, 1, ["normal"]]);

  go.resolve();
  await busy.stop();
  const ids = async () => (await queue.workers())?.map(({ id }) => id);
  await waitUntil(async () => `${await ids()}` === two.id);
});

Deno.test("JobQueue.workers is null without a connection", async () => {
  await using stores = new QueueStores(undefined);
  assertEquals(await stores.jobQueue("mails").workers(), null);
});

Deno.test("JobQueue.workers lists workers again after a reconnect", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using consumer = stores.jobQueue("mails").consume(() => {});
  await waitUntil(() => consumer.status().state === "serving");
  await server.restart();
  await waitUntil(async () => (await stores.jobQueue("mails").workers())?.length === 1);
});

Deno.test("JobQueue.workers drops malformed answers, and a worker malformed questions, with one line each", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("mails");
  await using consumer = queue.consume(() => {});
  await waitUntil(() => consumer.status().state === "serving");
  for (const ask of ["", "a.b.c.d.e.f", "12345678.>", "x".repeat(65), "a b c d e f g"]) {
    foreign.connection.publish("wqevt.mails.workers", ask);
  }
  const forged = ["", "null", "{}", '{"id":"x"}', JSON.stringify({ id: "x".repeat(3_000) })];
  foreign.connection.subscribe("wqevt.mails.workers", {
    callback: (_error, { data }) => {
      const ask = new TextDecoder().decode(data);
      for (const body of forged) foreign.connection.publish(`wqevt.mails.workers.${ask}.forged`, body);
    },
  });
  await foreign.connection.flush();
  const heard = queue.events()[Symbol.asyncIterator]();
  const event = heard.next();
  const malformed = () => stores.log.filter((line) => line.includes("malformed"));
  await waitUntil(async () => `${(await queue.workers())?.map(({ state }) => state)}` === "serving");
  await waitUntil(async () => malformed().length > 1 || (await queue.workers(), false));
  await queue.publish(1, { id: "a" });
  assertEquals((await event).value?.id, "a", "no answer is taken for an event");
  await heard.return?.();
  assertEquals(malformed().length, 2, malformed().join("\n"));
});

Deno.test("JobQueue.workers says if it may not ask", async () => {
  await using server = await startNatsServer({
    config:
      `authorization { users: [{ user: a, password: b, permissions: { publish: { deny: ["wqevt.mails.workers"] } } }] }`,
  });
  await using stores = openStores(server.url, { user: "a", password: "b" });
  const error = await assertRejects(() => stores.jobQueue("mails").workers(), JetStreamStoreError);
  assertEquals(error.code, "permission");
});
