import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

const HOUR = 3_600_000;

test("JobQueue.promote runs a delayed job at once, with all that belongs to it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish({ n: 1 }, { id: "a.b", delay: HOUR, priority: "low", headers: { h: "v" }, maxAttempts: 7 });
  assertEquals(await queue.promote("a.b"), true);
  const waiting = await queue.get("a.b");
  assertEquals([waiting?.state, waiting?.priority, waiting?.runAt], ["ready", "low", null]);
  assertEquals(await queue.promote("a.b"), true);
  assertEquals((await foreign.messages("WQ_checks")).length, 1);
  const seen: unknown[] = [];
  const runs = new RecordedRuns(({ headers, priority, maxAttempts }) =>
    void seen.push([headers, priority, maxAttempts])
  );
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(seen, [[{ h: "v" }, "low", 7]]);
  assertEquals(await queue.promote("a.b"), false);
  assertEquals(await queue.promote("nobody"), false);
  assertEquals(await stores.jobQueue("nowhere").promote("a"), false);
  assertEquals(await foreign.stream("WQ_nowhere"), undefined);
});

test("JobQueue.promote starts a retry early, with its attempt", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns(({ attempt }) => {
    if (attempt === 1) throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { backoff: HOUR });
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().ended.retried === 1);
  assertEquals(await queue.promote("a"), true);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ id, attempt }) => [id, attempt]), [["a", 1], ["a", 2]]);
});

test("JobQueue.reschedule moves delayed and waiting jobs to another moment", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("delayed", { id: "a", delay: HOUR, priority: "high" });
  await queue.publish("waiting", { id: "b", priority: "low" });
  await queue.publish("waiting", { id: "c" });
  const runAt = new Date(Date.now() + 2 * HOUR);
  assertEquals(await queue.reschedule("a", { runAt }), true);
  assertEquals(await queue.reschedule("b", { runAt }), true);
  assertEquals(await queue.reschedule("c", { delay: 300 }), true);
  assertEquals(await queue.reschedule("nobody", { delay: 1 }), false);
  for (const [id, priority] of [["a", "high"], ["b", "low"]]) {
    const job = await queue.get(id);
    assertEquals([job?.state, job?.priority, job?.runAt?.getTime()], ["delayed", priority, runAt.getTime()]);
  }
  assertEquals((await foreign.messages("WQ_checks")).length, 3);
  const runs = new RecordedRuns();
  await using _consumer = queue.consume(runs.handler);
  await runs.started(1);
  assertEquals(runs.ids, ["c"]);
  // Of the past: at once.
  assertEquals(await queue.reschedule("b", { runAt: new Date(0) }), true);
  assertEquals(await queue.reschedule("a", { delay: 0 }), true);
  await runs.started(3);
  assertEquals(runs.ids, ["c", "b", "a"]);
  await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
});

test("JobQueue.update gives a delayed, a waiting and a failed job other data, and keeps the rest", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const runAt = new Date(Date.now() + 5_000);
  await queue.publish("old", { id: "delayed", runAt, headers: { h: "v" } });
  await queue.publish("old", { id: "waiting", priority: "high", headers: { h: "w" } });
  const before = await queue.get("waiting");
  assertEquals(await queue.update("delayed", "new"), true);
  assertEquals(await queue.update("waiting", "new"), true);
  assertEquals(await queue.update("nobody", "new"), false);
  const [delayed, waiting] = [await queue.get("delayed"), await queue.get("waiting")];
  assertEquals([delayed?.data, delayed?.state, delayed?.runAt?.getTime()], ["new", "delayed", runAt.getTime()]);
  assertEquals([waiting?.data, waiting?.state, waiting?.priority], ["new", "ready", "high"]);
  assertEquals(waiting?.enqueuedAt, before?.enqueuedAt);
  const seen: string[] = [];
  const runs = new RecordedRuns<string>(({ id, data, attempt, headers }) => {
    seen.push(`${id} ${data} ${attempt} ${headers.h ?? ""}`);
    if (id === "fails" && attempt === 1) throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { backoff: HOUR });
  await waitUntil(() => consumer.status().ended.completed === 2);
  await queue.publish("old", { id: "fails" });
  await waitUntil(() => consumer.status().ended.retried === 1);
  assertEquals(await queue.update("fails", "new"), true);
  assertEquals(await queue.promote("fails"), true);
  await waitUntil(() => consumer.status().ended.completed === 3);
  assertEquals(seen, ["waiting new 1 w", "delayed new 1 v", "fails old 1 ", "fails new 2 "]);
  assertEquals(runs.all.length, 4);
});

test("JobQueue.update and reschedule leave an active job as it is", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<string>("checks");
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns<string>(() => go.promise);
  await using consumer = queue.consume(runs.handler);
  await queue.publish("old", { id: "a" });
  await runs.started(1);
  assertEquals(await queue.update("a", "new"), false);
  assertEquals(await queue.reschedule("a", { delay: 1 }), false);
  assertEquals(await queue.promote("a"), false);
  assertEquals((await foreign.messages("WQ_checks")).length, 1);
  go.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ data }) => data), ["old"]);
});

test("JobQueue.update keeps a waiting job that was fetched ahead as it is", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns<string>(() => go.promise);
  await using consumer = queue.consume(runs.handler, { prefetch: 1 });
  await queue.publish("first", { id: "a" });
  await runs.started(1);
  await queue.publish("second", { id: "b" });
  await waitUntil(() => consumer.status().prefetched === 1);
  assertEquals(await queue.update("b", "new"), false);
  go.resolve();
  await waitUntil(() => consumer.status().ended.completed === 2);
  assertEquals(runs.all.map(({ data }) => data), ["first", "second"]);
});

test("JobQueue.update and reschedule refuse jobs with a key, and of schedules", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  await queue.publish("keyed", { id: "a", key: "k" });
  await queue.schedule("s", { every: HOUR, data: "tick" });
  await queue.runNow("s");
  for (
    const change of [
      () => queue.update("a", "new"),
      () => queue.reschedule("a", { delay: 1 }),
      () => queue.update("@s", "new"),
      () => queue.reschedule("@s", { delay: 1 }),
    ]
  ) {
    const error = await assertRejects(change, JetStreamStoreError, "cannot be changed");
    assertEquals(error.code, "unsupported");
  }
  assertEquals(await queue.promote("a"), true);
  assertEquals((await queue.get("a"))?.data, "keyed");
});

test("JobQueue.update takes one of several changes made at once, and leaves one message", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.publish(0, { id: "waiting" });
  await queue.publish(0, { id: "delayed", delay: HOUR });
  const changes = Array.from({ length: 20 }, (_, n) => n + 1);
  for (const id of ["waiting", "delayed"]) {
    const done = await Promise.all(changes.map((n) => queue.update(id, n)));
    assertEquals(new Set(done), new Set([true]));
    assert(changes.includes((await queue.get(id))!.data!));
  }
  assertEquals((await foreign.messages("WQ_checks")).length, 2);
  assertEquals(await queue.cancel("waiting"), true);
  assertEquals(await queue.update("waiting", 1), false);
});

test("JobQueue.promote is null when its acknowledgement was lost and the job has run before it looks again", async () => {
  await using server = await startNatsServer();
  await using owner = new QueueStores(server.url);
  let loses = false;
  const drop = (_: string, payload: string) =>
    loses && (payload.includes('"stream":"WQ_checks"') && payload.includes('"seq":') || payload.includes("10071"));
  await using proxy = new Proxy(server.url, { drop });
  await using stores = new QueueStores(proxy.url);
  const [queue, other] = [stores.jobQueue("checks"), owner.jobQueue("checks")];
  await queue.open();
  await other.publish("a", { id: "a", delay: HOUR });
  loses = true;
  const promoted = queue.promote("a");
  await using consumer = other.consume(() => {});
  await waitUntil(() => consumer.status().ended.completed === 1);
  loses = false;
  assertEquals(await promoted, null);
});

for (const [what, lost] of [["the first", 0], ["the second", 1]] as const) {
  test(`JobQueue.update and reschedule outlive the loss of ${what} acknowledgement, and leave one message`, async () => {
    await using server = await startNatsServer();
    await using owner = new QueueStores(server.url);
    let acknowledgements = Infinity;
    const drop = (_: string, payload: string) =>
      payload.includes('"stream":"WQ_checks"') && payload.includes('"seq":') && acknowledgements++ === lost;
    await using proxy = new Proxy(server.url, { drop });
    await using stores = new QueueStores(proxy.url);
    await using foreign = await ForeignClient.connect(server.url);
    const [queue, other] = [stores.jobQueue<string>("checks"), owner.jobQueue<string>("checks")];
    await queue.open();
    for (const delay of [0, HOUR]) {
      await other.publish("old", { id: "a", delay });
      acknowledgements = 0;
      assertEquals(await queue.update("a", "new"), true);
      assertEquals((await other.get("a"))?.data, "new");
      acknowledgements = 0;
      assertEquals(await queue.reschedule("a", { delay: 2 * HOUR }), true);
      acknowledgements = 0;
      assertEquals(await queue.promote("a"), true);
      acknowledgements = 0;
      assertEquals(await queue.reschedule("a", { delay: 2 * HOUR }), true);
      const [message, ...more] = await foreign.messages("WQ_checks");
      assertEquals([message.subject, more], ["wq.checks.later.normal.a", []]);
      await other.cancel("a");
    }
  });
}
