import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { startProcess } from "../../_support/start_process.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { Proxy } from "../../_support/proxy.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const WORKER = new URL("./_rate_worker.ts", import.meta.url);

/** By this part of its interval the server may give a permit out early. */
const EARLY = 0.03;

/** Starts that are allowed within so many milliseconds from when the first worker was there: whatever the machine does, these are not more. */
function allowed({ jobs, interval }: { jobs: number; interval: number }, ms: number): number {
  return jobs * (1 + Math.floor(ms / (interval * (1 - EARLY))));
}

Deno.test("JobQueue.limitRate holds over 8 worker processes that are started and killed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using cleanup = new AsyncDisposableStack();
  const queue = stores.jobQueue<number>("checks", { lease: 2_000 });
  const rate = { jobs: 20, interval: 400 };
  assertEquals(await queue.limitRate(rate), true);
  assertEquals((await queue.counts())?.rateLimit, rate);
  await queue.publishMany(Array.from({ length: 300 }, (_, n) => ({ data: n, id: `job${n}` })));
  const began = performance.timeOrigin + performance.now();
  const starts = new Map<string, number[]>();
  const start = () => {
    const worker = cleanup.use(startProcess(WORKER, server.url, "checks"));
    const follow = async () => {
      for (;;) {
        const [id, at] = (await worker.nextLine()).split(" ");
        if (at !== undefined) starts.set(id, [...starts.get(id) ?? [], Number(at)]);
      }
    };
    follow().catch(() => {});
    return worker;
  };
  const workers = Array.from({ length: 8 }, start);
  for (const [after, victim] of [[60, 0], [120, 1], [180, 2]]) {
    await waitUntil(() => starts.size >= after, 60_000);
    await workers[victim].kill();
    start();
  }
  await waitUntil(async () => {
    const counts = await queue.counts();
    return counts !== null && counts.ready.normal + counts.active + counts.delayed === 0;
  }, 60_000);
  const all = [...starts.values()].flat().sort((a, b) => a - b);
  assert(all.length >= 250);
  for (const [n, at] of all.entries()) assert(n + 1 <= allowed(rate, at - began), `start ${n + 1}`);
});

Deno.test("JobQueue.limitRate makes nothing up for time in which the queue was idle or paused", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const rate = { jobs: 5, interval: 300 };
  await queue.limitRate(rate);
  const runs = new RecordedRuns<number>();
  await using _consumer = queue.consume(runs.handler, { concurrency: 50 });
  for (const pauses of [false, true]) {
    const before = runs.all.length;
    if (pauses) await queue.pause();
    // Several intervals without a start.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const began = performance.now();
    await queue.publishMany(Array.from({ length: 25 }, (_, n) => ({ data: n })));
    if (pauses) await queue.resume();
    await runs.started(before + 25);
    for (const [n, { at }] of runs.all.slice(before).entries()) {
      assert(n + 1 <= allowed(rate, at - began), `start ${n + 1}`);
    }
  }
});

Deno.test("JobQueue.limitRate counts from the start of a job whose permit was late", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const rate = { jobs: 1, interval: 2_000 };
  await queue.limitRate(rate);
  await queue.publishMany([{ data: 1 }, { data: 2 }, { data: 3 }]);
  const runs = new RecordedRuns<number>();
  await using _consumer = queue.consume(runs.handler);
  await runs.started(1);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  // Nothing is received while the second permit arrives.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_300);
  await runs.started(3);
  const [, second, third] = runs.all;
  assertGreater(third.at - second.at, rate.interval * (1 - EARLY) - 1);
});

Deno.test("JobQueue.limitRate counts no job that does not start", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.limitRate({ jobs: 2, interval: 3_600_000 });
  await queue.publishMany(Array.from({ length: 5 }, (_, n) => ({ data: n, ttl: 1_000 })));
  await queue.publishMany([{ data: 5 }, { data: 6 }, { data: 7 }]);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const runs = new RecordedRuns<number>();
  await using consumer = queue.consume(runs.handler, { concurrency: 2 });
  await waitUntil(() => consumer.status().ended.expired === 5);
  await runs.started(2);
  assertEquals((await queue.counts())?.rateLimit, { jobs: 2, interval: 3_600_000 });
  assertEquals(runs.all.length, 2);
});

Deno.test("JobQueue.limitRate is changed and lifted at run time", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using other = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<number>("checks");
  const runs = new RecordedRuns<number>();
  const add = () => queue.publishMany(Array.from({ length: 30 }, (_, n) => ({ data: n })));
  await queue.limitRate({ jobs: 2, interval: 3_600_000 });
  await using consumer = other.jobQueue<number>("checks").consume(runs.handler, { concurrency: 3 });
  await add();
  await runs.started(2);
  await waitUntil(() => consumer.status().prefetched > 0);
  assertEquals([runs.all.length, consumer.status().state], [2, "serving"]);
  await queue.limitRate({ jobs: 100, interval: 100 });
  assertEquals((await queue.counts())?.rateLimit, { jobs: 100, interval: 100 });
  await waitUntil(() => consumer.status().ended.completed === 30);
  await queue.limitRate({ jobs: 1, interval: 3_600_000 });
  assertEquals((await foreign.stream("WQRATE_checks"))?.state.messages, 1);
  await add();
  // Before the worker has heard of it, it may start some.
  await waitUntil(() => consumer.status().prefetched > 0);
  assert(runs.all.length < 60);
  assertEquals(await queue.limitRate(null), true);
  await waitUntil(() => consumer.status().ended.completed === 60);
  assertEquals((await queue.counts())?.rateLimit, null);
  assertEquals(new Set(runs.ids).size, 60);
});

Deno.test("JobQueue.limitRate holds beside limitActive, priorities and keys, and retries count", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const rate = { jobs: 10, interval: 200 };
  await queue.limitRate(rate);
  await queue.limitActive({ normal: 2 });
  for (const priority of ["high", "normal", "low"] as const) {
    await queue.publishMany(Array.from({ length: 10 }, (_, n) => ({ data: "", id: `${priority}${n}`, priority })));
  }
  await queue.publishMany(Array.from({ length: 10 }, (_, n) => ({ data: "", id: `keyed${n}`, key: "k" })));
  await queue.publish("fails", { id: "fails" });
  const began = performance.now();
  const runs = new RecordedRuns<string>(({ data, attempt }) => {
    if (data === "fails" && attempt < 5) throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 20, backoff: 1 });
  await waitUntil(() => consumer.status().ended.completed === 41);
  assertEquals(runs.all.length, 45);
  for (const [n, { at }] of runs.all.entries()) assert(n + 1 <= allowed(rate, at - began), `start ${n + 1}`);
  assertEquals(runs.ids.filter((id) => id.startsWith("keyed")), Array.from({ length: 10 }, (_, n) => `keyed${n}`));
});

Deno.test("A worker says that it starts nothing while the permits of its queue are gone, and starts jobs when they are back", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<number>("checks");
  const rate = { jobs: 50, interval: 100 };
  await queue.limitRate(rate);
  const runs = new RecordedRuns<number>();
  await using consumer = queue.consume(runs.handler);
  await queue.publish(1);
  await runs.started(1);
  await foreign.api("STREAM.DELETE.WQRATE_checks");
  await queue.publish(2);
  await waitUntil(() => consumer.status().state === "impaired");
  assert(consumer.status().reason?.includes("set the limit again with limitRate()"), consumer.status().reason ?? "");
  assertEquals(runs.all.length, 1);
  assertEquals(await queue.limitRate(rate), true);
  await waitUntil(() => consumer.status().ended.completed === 2);
  assertEquals(consumer.status().state, "serving");
  assertEquals(await queue.destroy(), true);
  assertEquals(await foreign.stream("WQRATE_checks"), undefined);
});

Deno.test("JobQueue.limitRate sets a limit though requests and answers are lost, with as many permits as it has", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url, { timeout: 30_000 });
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.open();
  const lost = ["wqrate.checks", "$JS.API.CONSUMER.CREATE.WQRATE_checks", "$JS.API.STREAM.PURGE.WQRATE_checks"];
  const dropped = new Set<string>();
  const replies = new Set<string>();
  proxy.tampering.lose = (subject, _payload, reply) => {
    const kind = lost.find((each) => subject.startsWith(each));
    if (kind === undefined || dropped.has(kind)) return false;
    dropped.add(kind);
    // Of the permits the answer is lost, of the others the request.
    if (kind !== "wqrate.checks" || reply === undefined) return true;
    replies.add(reply);
    return false;
  };
  proxy.tampering.drop = (subject) => replies.delete(subject);
  for (const jobs of [300, 20]) {
    assertEquals(await queue.limitRate({ jobs, interval: 1_000 }), true);
    assertEquals((await foreign.stream("WQRATE_checks"))?.state.messages, jobs);
  }
  assertEquals(dropped.size, 3);
});

Deno.test("JobQueue.limitRate that the server refuses leaves the limit in force as it was", async () => {
  const deny = 'permissions: { publish: { deny: ["$JS.API.STREAM.UPDATE.WQ_checks"] } }';
  const config = `authorization { users: [{ user: admin, password: x }, { user: other, password: x, ${deny} }] }`;
  await using server = await startNatsServer({ config });
  await using admin = new QueueStores(server.url, { user: "admin", password: "x" });
  await using others = new QueueStores(server.url, { user: "other", password: "x" });
  await using foreign = await ForeignClient.connect(server.url, { user: "admin", pass: "x" });
  await admin.jobQueue("checks").limitRate({ jobs: 5, interval: 60_000 });
  for (const rate of [{ jobs: 2, interval: 1_000 }, { jobs: 9, interval: 120_000 }]) {
    await assertRejects(
      () => others.jobQueue("checks").limitRate(rate),
      JetStreamStoreError,
      "STREAM.UPDATE.WQ_checks",
    );
    assertEquals((await foreign.stream("WQRATE_checks"))?.state.messages, 5);
    const { config } = await foreign.request<{ config: { ack_wait: number } }>("CONSUMER.INFO.WQRATE_checks.permits");
    assertEquals(Math.round(config.ack_wait / 1e9), 60);
  }
  assertEquals((await admin.jobQueue("checks").counts())?.rateLimit, { jobs: 5, interval: 60_000 });
});

Deno.test("JobQueue.limitRate takes effect though its caller dies before it announces the change", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.limitRate({ jobs: 1, interval: 3_600_000 });
  const runs = new RecordedRuns<number>();
  await using consumer = queue.consume(runs.handler);
  await queue.publishMany([{ data: 1 }, { data: 2 }]);
  await runs.started(1);
  await waitUntil(() => consumer.status().prefetched > 0);
  const { config: { metadata } } = await foreign.request<{ config: { metadata: Record<string, string> } }>(
    "STREAM.INFO.WQ_checks",
  );
  const { "supercheck-rate": rate, ...others } = metadata;
  assertEquals(rate, "1/3600000");
  await foreign.update("WQ_checks", { metadata: others });
  await runs.started(2);
});

Deno.test("A worker that waits for a permit, which others have, does not say that permits are gone", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<number>("checks");
  const rate = { jobs: 1, interval: 3_600_000 };
  await queue.limitRate(rate);
  const runs = new RecordedRuns<number>();
  await using one = queue.consume(runs.handler);
  await using other = queue.consume(runs.handler);
  const areAll = (state: string) => [one, other].every((consumer) => consumer.status().state === state);
  await queue.publishMany(Array.from({ length: 6 }, (_, n) => ({ data: n })));
  await runs.started(1);
  await foreign.api("STREAM.DELETE.WQRATE_checks");
  await waitUntil(() => areAll("impaired"));
  await queue.limitRate(rate);
  await waitUntil(() => areAll("serving"));
  assertEquals(runs.all.length, 2);
});

Deno.test("JobQueue.limitRate keeps its limit when the server is killed and restarted", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.limitRate({ jobs: 1, interval: 3_600_000 });
  const runs = new RecordedRuns<number>();
  await using consumer = queue.consume(runs.handler);
  await queue.publishMany([{ data: 1 }, { data: 2 }, { data: 3 }]);
  await runs.started(1);
  await waitUntil(() => consumer.status().ended.completed === 1 && consumer.status().prefetched > 0);
  await server.kill();
  await server.restart();
  await waitUntil(() => consumer.status().state === "serving");
  assert(runs.all.length <= 2);
  await queue.limitRate({ jobs: 10, interval: 100 });
  await waitUntil(() => new Set(runs.all.map(({ data }) => data)).size === 3 && consumer.status().active === 0);
});
