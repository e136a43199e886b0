import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { JetStreamStoreError, type JobInfo, type ListJobsOptions } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

/** Their ids, in their order. */
async function ids(jobs: AsyncIterable<JobInfo>): Promise<string[]> {
  return (await Array.fromAsync(jobs)).map(({ id }) => id);
}

Deno.test("JobQueue.jobs lists what waits and runs, the most urgent and oldest first, from another process", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish({ n: 1 }, { id: "low 1", priority: "low" });
  await queue.publish({ n: 2 }, { id: "normal.1" });
  await queue.publish({ n: 3 }, { id: "high 1", priority: "high" });
  await queue.publish({ n: 4 }, { id: "normal 2" });
  await queue.publish({ n: 5 }, { id: "high 2", priority: "high" });
  await queue.publish({ n: 6 }, { id: "delayed", delay: 60_000, priority: "high" });
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  await using _consumer = queue.consume(runs.handler, { priorities: ["high"], concurrency: 1, prefetch: 0 });
  await runs.started(1);
  // Before, it might have been the first one to run: any worker takes jobs with keys.
  await queue.publish({ n: 7 }, { id: "keyed", key: "k" });

  const listed = await Array.fromAsync(admin.jobQueue("checks").jobs());
  assertEquals(listed.map(({ id, data, state, priority }) => [id, data, state, priority]), [
    ["high 1", { n: 3 }, "active", "high"],
    ["high 2", { n: 5 }, "ready", "high"],
    ["normal.1", { n: 2 }, "ready", "normal"],
    ["normal 2", { n: 4 }, "ready", "normal"],
    ["low 1", { n: 1 }, "ready", "low"],
  ]);
  for (const job of listed) assertEquals(job, (await admin.jobQueue("checks").get(job.id))!);
  assertEquals(await ids(admin.jobQueue("checks").jobs({ priority: "normal" })), ["normal.1", "normal 2"]);
  go.resolve();
});

Deno.test("JobQueue.jobs lists only those that wait for a worker, or only those that were handed to one", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const all = Array.from({ length: 600 }, (_, n) => `job ${n}`);
  await queue.publishMany(all.map((id) => ({ data: 1, id })));
  await queue.publish(1, { id: "urgent", priority: "high" });
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  await using _consumer = queue.consume(runs.handler, { priorities: ["normal"], concurrency: 300, prefetch: 0 });
  await runs.started(300);
  assertEquals(await ids(queue.jobs({ kind: "active" })), all.slice(0, 300));
  assertEquals(await ids(queue.jobs({ kind: "ready" })), ["urgent", ...all.slice(300)]);
  const [, second] = await Array.fromAsync(queue.jobs({ kind: "ready", priority: "normal" }));
  const behind = queue.jobs({ kind: "ready", priority: "normal", after: second.sequence });
  assertEquals(await ids(behind), all.slice(302));
  assertEquals(await ids(queue.jobs({ kind: "active", priority: "high" })), []);
  go.resolve();
});

test("JobQueue.jobs lists delayed jobs by priority, with the time when they are due", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const due = new Date(Date.now() + 3_600_000);
  await queue.publish(1, { id: "waits" });
  await queue.publish(2, { id: "later", runAt: new Date(due.getTime() + 1_000) });
  await queue.publish(3, { id: "later, but urgent", runAt: due, priority: "high" });
  await queue.schedule("hourly", { every: 3_600_000, data: 4 });
  const listed = await Array.fromAsync(queue.jobs({ kind: "delayed" }));
  assertEquals(listed.map(({ id, state, priority }) => [id, state, priority]), [
    ["later, but urgent", "delayed", "high"],
    ["later", "delayed", "normal"],
  ]);
  assert(Math.abs(listed[0].runAt!.getTime() - due.getTime()) <= 1_000, `due: ${listed[0].runAt}`);
  assertEquals(await ids(queue.jobs({ kind: "delayed", priority: "low" })), []);
});

Deno.test("JobQueue.jobs lists jobs with a key over all partitions, with those that run", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const expected = Array.from({ length: 40 }, (_, n) => `job ${n}`);
  for (const [n, id] of expected.entries()) await queue.publish(n, { id, key: `key ${n % 20}` });
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => go.promise);
  await using _consumer = queue.consume(runs.handler, { concurrency: 1, prefetch: 0 });
  await runs.started(1);
  const listed = await Array.fromAsync(queue.jobs({ kind: "keyed" }));
  assertEquals(listed.map(({ id }) => id), expected);
  const active = listed.filter(({ state }) => state === "active").map(({ id }) => id);
  assert(active.includes(runs.ids[0]), `active: ${active}`);
  assertEquals(active.filter((id) => expected.indexOf(id) >= 20), [], "the second job of a key waits for the first");
  await queue.publish(1, { id: "without" });
  assertEquals((await ids(queue.jobs({ kind: "keyed" }))).length, 40);
  go.resolve();
});

Deno.test("JobQueue.jobs lists more jobs than a page holds, each once and in order", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const expected = Array.from({ length: 600 }, (_, n) => `job ${n}`);
  await queue.publishMany(expected.map((id) => ({ data: id, id })), { atomic: true });
  assertEquals(await ids(queue.jobs()), expected);
});

Deno.test("JobQueue.jobs asks for the next page only when it is wanted, and leaves out what is gone by then", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 300 }, (_, n) => ({ data: n, id: `job ${n}` })), { atomic: true });
  const seen: string[] = [];
  for await (const { id } of queue.jobs()) {
    seen.push(id);
    if (seen.length > 1) continue;
    assertEquals(await queue.cancel("job 299"), true);
    await queue.publish(300, { id: "late" });
  }
  assertEquals([seen.length, seen.includes("job 299"), seen.at(-1)], [300, false, "late"]);
});

Deno.test("JobQueue.jobs lists nothing for a queue that is not there or is empty, and makes none", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  for (const kind of ["waiting", "delayed", "keyed"] as const) {
    assertEquals(await ids(stores.jobQueue("nowhere").jobs({ kind })), []);
  }
  assertEquals(await foreign.stream("WQ_nowhere"), undefined);
  const queue = stores.jobQueue("checks");
  await queue.open();
  assertEquals(await ids(queue.jobs()), []);
});

Deno.test("JobQueue.jobs takes jobs of another client as they are", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  await foreign.publish("wq.checks.ready.normal.a1", "no JSON", { "Job-Attempt": "3" });
  const [job] = await Array.fromAsync(queue.jobs());
  assertEquals([job.id, job.data, job.state, job.attempt], ["a1", undefined, "ready", 3]);
});

Deno.test("JobQueue.jobs throws where it breaks off: without a connection, and when the server stops in between", async () => {
  await using away = new QueueStores(undefined);
  const none = await assertRejects(() => ids(away.jobQueue("checks").jobs()), JetStreamStoreError, "queue checks");
  assertEquals(none.code, "disconnected");
  await using server = await startNatsServer();
  await using publisher = new QueueStores(server.url);
  const jobs = Array.from({ length: 300 }, (_, n) => ({ data: n }));
  await publisher.jobQueue("checks").publishMany(jobs, { atomic: true });
  await using stores = new QueueStores(server.url, { timeout: 3_000 });
  const queue = stores.jobQueue("checks");
  let seen = 0;
  const broken = await assertRejects(async () => {
    for await (const _job of queue.jobs()) if (++seen === 1) await server.kill();
  }, JetStreamStoreError);
  assertEquals([broken.code, seen], ["disconnected", 256]);
});

Deno.test("JobQueue.jobs refuses a wrong option at once, with its value and the rule", () => {
  const queue = new QueueStores(undefined).jobQueue("checks");
  const bad: [unknown, string][] = [
    [{ kind: "dead" }, "'kind' must be one of waiting, ready, active, delayed, keyed: current value is \"dead\""],
    [{ priority: "urgent" }, "'priority' must be one of high, normal, low: current value is \"urgent\""],
    [{ kind: "keyed", priority: 1 }, "'priority' must be one of high, normal, low: current value is 1"],
  ];
  for (const [options, message] of bad) {
    assertThrows(() => void queue.jobs(options as ListJobsOptions), RangeError, `Cannot list the jobs as ${message}`);
  }
});

Deno.test("JobQueue.jobs continues behind the sequence of a job, within its priority", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  for (let n = 0; n < 5; n++) await queue.publish(n, { id: `job${n}`, headers: { "x-n": `${n}` } });
  await queue.publish(9, { id: "low", priority: "low" });
  const [first, second] = await Array.fromAsync(queue.jobs({ priority: "normal" }));
  assertEquals([first.headers, second.headers], [{ "x-n": "0" }, { "x-n": "1" }]);
  const behind = await Array.fromAsync(queue.jobs({ priority: "normal", after: second.sequence }));
  assertEquals(behind.map(({ id }) => id), ["job2", "job3", "job4"]);
  assertThrows(() => queue.jobs({ after: 1 }), RangeError, "'after' needs a 'priority'");
  assertThrows(() => queue.jobs({ priority: "low", after: -1 }), RangeError, "'after' must be a whole number");
});
