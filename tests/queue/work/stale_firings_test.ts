import { assertEquals } from "@std/assert";
import { firingOf, parseJobHeaders } from "../../../src/queue/format/job_headers.ts";
import { QueueNames } from "../../../src/queue/format/queue_names.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient, type RawMessage } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { testFrom } from "../../_support/test_from.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

const HOUR = 3_600_000;
const STREAM = "WQ_checks";

/** The delayed message of a job. */
async function delayedMessage(foreign: ForeignClient, id: string): Promise<RawMessage> {
  return (await foreign.messages(STREAM, `wq.checks.later.*.${id}`))[0];
}

/** What a server makes of a delayed message that it has back: at once, as its moment is past. */
async function fire(foreign: ForeignClient, { subject, headers, body }: RawMessage): Promise<number> {
  const own = Object.entries(headers).filter(([name]) => !name.startsWith("Nats-"));
  const [, queue, , priority, id] = subject.split(".");
  const { seq } = await foreign.publish(`wq.${queue}.ready.${priority}.${id}`, body, {
    ...Object.fromEntries(own),
    "Job-Due": new Date(Date.now() - 10_000).toISOString(),
    // Another subject, so that the server does not remove what is delayed by now.
    "Nats-Scheduler": `wq.${queue}.later.low.${id}`,
    "Nats-Schedule-Next": "purge",
  });
  return seq!;
}

async function isEmpty(foreign: ForeignClient): Promise<boolean> {
  return (await foreign.messages(STREAM)).length === 0;
}

test("JobConsumer does not run what a schedule fires again whose job another worker has ended", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("first data", { id: "fired", delay: HOUR, priority: "high" });
  await queue.publish("first data", { id: "changed", delay: HOUR, priority: "high" });
  await queue.publish("first data", { id: "replaced", delay: HOUR, priority: "high" });
  const stale = await Promise.all(["fired", "changed", "replaced"].map((id) => delayedMessage(foreign, id)));
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler, { priorities: ["high"] });
  await queue.update("changed", "new data");
  await queue.reschedule("changed", { delay: HOUR / 2 });
  await queue.publish("new data", { id: "replaced", replace: true, priority: "high" });
  for (const id of ["fired", "changed"]) await queue.promote(id);
  await waitUntil(() => consumer.status().ended.completed === 3);

  const again = new RecordedRuns();
  await using other = others.jobQueue("checks").consume(again.handler, { priorities: ["normal"] });
  for (const message of stale) await fire(foreign, { ...message, subject: message.subject.replace("high", "normal") });
  await waitUntil(() => isEmpty(foreign));
  await waitUntil(() => other.status().ended.skipped === 3);
  assertEquals(again.ids, []);
  assertEquals(runs.all.map(({ id, data }) => `${id}: ${data}`).sort(), [
    "changed: new data",
    "fired: first data",
    "replaced: new data",
  ]);
});

test("JobConsumer does not run what a schedule fires again while its job was changed, is retried, or runs", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const ids = ["changed", "retried", "running"];
  for (const id of ids) await queue.publish("first data", { id, delay: HOUR, backoff: HOUR });
  const stale = await Promise.all(ids.map((id) => delayedMessage(foreign, id)));
  await queue.update("changed", "new data");
  const end = Promise.withResolvers<void>();
  const runs = new RecordedRuns(({ id }) => {
    if (id === "retried") throw new Error("It fails");
    return end.promise;
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 2 });
  for (const id of ["retried", "running"]) await queue.promote(id);
  await waitUntil(() => consumer.status().ended.retried === 1 && runs.ids.includes("running"));

  const again = new RecordedRuns();
  await using other = others.jobQueue("checks").consume(again.handler);
  for (const message of stale) await fire(foreign, message);
  await waitUntil(() => other.status().ended.skipped + consumer.status().ended.skipped === 3);
  end.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals([runs.ids.toSorted(), again.ids], [["retried", "running"], []]);
  assertEquals((await queue.get("changed"))?.data, "new data");
  assertEquals((await queue.get("retried"))?.attempt, 2);
});

test("JobConsumer does not run what a schedule fires again if a worker gave it back unstarted", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("data", { id: "retried", delay: HOUR, backoff: HOUR });
  const stale = await delayedMessage(foreign, "retried");
  const end = Promise.withResolvers<void>();
  const runs = new RecordedRuns(({ id }) => {
    if (id === "retried") throw new Error("It fails");
    return end.promise;
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 1, prefetch: 1 });
  await queue.promote("retried");
  await waitUntil(() => consumer.status().ended.retried === 1);
  await queue.publish("data", { id: "running" });
  await runs.started(2);
  await fire(foreign, stale);
  await waitUntil(() => consumer.status().prefetched === 1);
  const stopped = consumer.stop();

  const again = new RecordedRuns();
  await using other = others.jobQueue("checks").consume(again.handler);
  await waitUntil(() => other.status().ended.skipped === 1);
  end.resolve();
  assertEquals((await stopped).givenBack, 1);
  assertEquals([runs.ids, again.ids], [["retried", "running"], []]);
  assertEquals((await queue.get("retried"))?.attempt, 2);
});

Deno.test("JobConsumer runs a job once that is fired late, also if it was fired twice to two workers", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("late", { id: "late", delay: HOUR });
  const message = await delayedMessage(foreign, "late");
  await foreign.api(`STREAM.MSG.DELETE.${STREAM}`, { seq: message.sequence });
  await queue.pause();
  const runs = new RecordedRuns();
  await using one = queue.consume(runs.handler, { concurrency: 1, prefetch: 0 });
  await using other = others.jobQueue("checks").consume(runs.handler, { concurrency: 1, prefetch: 0 });
  const first = await fire(foreign, message);
  await fire(foreign, message);
  await queue.resume();
  await waitUntil(() => isEmpty(foreign));
  await waitUntil(() => one.status().ended.skipped + other.status().ended.skipped === 1);
  assertEquals(runs.all.map(({ fence }) => Math.floor(fence / 1024)), [first]);
});

Deno.test("JobConsumer runs the older one of two firings after all if its worker loses it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 1_000 });
  await queue.publish("late", { id: "late", delay: HOUR });
  const message = await delayedMessage(foreign, "late");
  await foreign.api(`STREAM.MSG.DELETE.${STREAM}`, { seq: message.sequence });
  const lost = new RecordedRuns(() => new Promise(() => {}));
  await using one = queue.consume(lost.handler, { concurrency: 1, prefetch: 0 });
  await fire(foreign, message);
  await lost.started(1);
  const runs = new RecordedRuns();
  await using other = others.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => other.status().state === "serving");
  // The first worker is full with it, so that the other one gets the second.
  await fire(foreign, message);
  await waitUntil(() => other.status().ended.skipped === 1);
  await one.stop({ deadline: 0 });
  await runs.started(1);
  await waitUntil(() => isEmpty(foreign));
  assertEquals([lost.ids, runs.ids], [["late"], ["late"]]);
});

Deno.test("JobConsumer runs a job that is fired late while a change of it is not decided", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("first data", { id: "late", delay: HOUR });
  const message = await delayedMessage(foreign, "late");
  await foreign.api(`STREAM.MSG.DELETE.${STREAM}`, { seq: message.sequence });
  const first = await fire(foreign, message);
  const firing = firingOf("late", parseJobHeaders(Object.entries(message.headers)))!;
  // Its call is about to withdraw it.
  const { seq } = await foreign.publish(new QueueNames("checks").replacement("late"), "new data", {
    "Nats-Schedule": `@at ${new Date(Date.now() + HOUR).toISOString()}`,
    "Nats-Schedule-Target": "wq.checks.ready.normal.late",
    "Job-Nonce": "change",
    "Job-Replacing": String(first),
    "Job-Supersedes": firing,
  });
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().active + consumer.status().ended.skipped === 1);
  await foreign.api(`STREAM.MSG.DELETE.${STREAM}`, { seq });
  await waitUntil(() => isEmpty(foreign));
  assertEquals(runs.all.map(({ data }) => data), ["first data"]);
});

Deno.test("JobConsumer runs each job of one id that another client delays without naming it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  for (const round of [1, 2]) {
    await foreign.publish("wq.checks.later.normal.a", `${round}`, {
      "Nats-Schedule": `@at ${new Date().toISOString()}`,
      "Nats-Schedule-Target": "wq.checks.ready.normal.a",
      "Nats-Msg-Id": `${round}`,
      "x-own": "y",
    });
    await waitUntil(() => consumer.status().ended.completed + consumer.status().ended.skipped === round);
  }
  assertEquals(runs.all.map(({ data }) => data), [1, 2]);
});

test("JobConsumer retries a job whose schedule fires again while it runs", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("data", { id: "job", delay: HOUR, backoff: 0 });
  const stale = await delayedMessage(foreign, "job");
  const runs = new RecordedRuns(async ({ attempt }) => {
    if (attempt > 1) return;
    await fire(foreign, stale);
    throw new Error("It fails");
  });
  await using consumer = queue.consume(runs.handler);
  await queue.promote("job");
  await waitUntil(() => consumer.status().ended.completed === 1);
  await waitUntil(() => isEmpty(foreign));
  assertEquals(runs.all.map(({ attempt }) => attempt), [1, 2]);
});

Deno.test("JobConsumer runs a copy that is fired late though what it replaces is still there", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("data", { id: "a", delay: HOUR });
  const delayed = await delayedMessage(foreign, "a");
  // The worker that has moved it has not removed it yet.
  const moved = await fire(foreign, { ...delayed, subject: delayed.subject.replace("normal", "low") });
  await fire(foreign, { ...delayed, headers: { ...delayed.headers, "Job-Replaces": String(moved) } });
  await foreign.request(`STREAM.MSG.DELETE.${STREAM}`, { seq: delayed.sequence });
  const runs = new RecordedRuns();
  await using _consumer = queue.consume(runs.handler, { priorities: ["normal"] });
  await waitUntil(() => isEmpty(foreign));
  assertEquals(runs.all.map(({ id, data }) => `${id}: ${data}`), ["a: data"]);
});

Deno.test("JobConsumer that may not listen to what others ask runs jobs that are fired late, and says so", async () => {
  const deny = 'permissions: { subscribe: { deny: ["wqevt.checks.known"] } }';
  const config = `authorization { users: [{ user: admin, password: x }, { user: worker, password: x, ${deny} }] }`;
  await using server = await startNatsServer({ config });
  await using stores = new QueueStores(server.url, { user: "worker", password: "x" });
  await using foreign = await ForeignClient.connect(server.url, { user: "admin", pass: "x" });
  const queue = stores.jobQueue("checks");
  await queue.publish("data", { id: "a", delay: HOUR });
  const delayed = await delayedMessage(foreign, "a");
  await foreign.request(`STREAM.MSG.DELETE.${STREAM}`, { seq: delayed.sequence });
  const runs = new RecordedRuns();
  await using _consumer = queue.consume(runs.handler);
  await fire(foreign, delayed);
  await runs.started(1);
  await waitUntil(() => isEmpty(foreign));
  assertEquals(stores.log.filter((line) => line.includes("runs jobs whose schedules fire late")).length, 1);
});
