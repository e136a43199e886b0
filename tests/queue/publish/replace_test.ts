import { assert, assertEquals, assertRejects } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

const HOUR = 3_600_000;

test("JobQueue.publish with replace takes the place of a waiting or delayed job, with its own options only", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<string>("checks");
  const old = { headers: { old: "v" }, maxAttempts: 9 };
  for (const id of ["waits", "waits then delayed"]) await queue.publish("old", { id, priority: "low", ...old });
  for (const id of ["delayed", "delayed then waits"]) await queue.publish("old", { id, delay: HOUR, ...old });
  const delay = 2 * HOUR;
  const receipts = [
    await queue.publish("new", { id: "waits", replace: true, priority: "high", headers: { h: "v" } }),
    await queue.publish("new", { id: "waits then delayed", replace: true, delay }),
    await queue.publish("new", { id: "delayed", replace: true, delay, priority: "high" }),
    await queue.publish("new", { id: "delayed then waits", replace: true, priority: "low" }),
    await queue.publish("new", { id: "none", replace: true }),
  ];
  const jobs = await Promise.all(receipts.map((receipt) => queue.get(receipt!.id)));
  assertEquals(receipts.map((receipt) => receipt!.duplicate), [false, false, false, false, false]);
  assertEquals(receipts.map((receipt) => receipt!.sequence), jobs.map((job) => job!.sequence));
  assertEquals(jobs.map((job) => [job?.data, job?.state, job?.priority, job?.headers.old]), [
    ["new", "ready", "high", undefined],
    ["new", "delayed", "normal", undefined],
    ["new", "delayed", "high", undefined],
    ["new", "ready", "low", undefined],
    ["new", "ready", "normal", undefined],
  ]);
  assertEquals(jobs[0]?.headers, { h: "v" });
  assertEquals((await foreign.messages("WQ_checks")).length, 5);
  const runs = new RecordedRuns<string>();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed === 3);
  for (const id of ["delayed", "waits then delayed"]) assertEquals(await queue.promote(id), true);
  await waitUntil(() => consumer.status().ended.completed === 5);
  assertEquals(new Set(runs.ids).size, 5);
  assertEquals(new Set(runs.all.map(({ data }) => data)), new Set(["new"]));
});

/** A header of the newest message of a queue that has this body; it may be on its way from one subject to another. */
async function headerOfLast(foreign: ForeignClient, body: string, name: string): Promise<string> {
  let value: string | undefined;
  await waitUntil(async () => {
    const last = (await foreign.messages("WQ_checks")).findLast((message) => message.body === body);
    value = last?.headers[name];
    return value !== undefined;
  });
  return value!;
}

for (const fails of [false, true]) {
  const how = fails ? "fails" : "succeeds";
  test(`JobQueue.publish with replace runs exactly once more behind an active job that ${how}`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    await using foreign = await ForeignClient.connect(server.url);
    const queue = stores.jobQueue<number>("checks");
    const go = Promise.withResolvers<void>();
    const runs = new RecordedRuns<number>(async ({ data }) => {
      if (data === 0) await go.promise;
      if (data === 0 && fails) throw new Error("no");
    });
    await using consumer = queue.consume(runs.handler, { concurrency: 4, backoff: 1 });
    await queue.publish(0, { id: "a" });
    await runs.started(1);
    for (const n of [1, 2, 3]) {
      assertEquals((await queue.publish(n, { id: "a", replace: true }))?.duplicate, false);
      // Long enough that it was delivered, and put back.
      if (n > 1) await waitUntil(() => consumer.status().ended.skipped >= n - 1);
    }
    assertEquals(runs.all.map(({ data }) => data), [0]);
    const after = await headerOfLast(foreign, "3", "Job-After");
    go.resolve();
    await waitUntil(() => runs.all.length > 1 && runs.active === 0);
    await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
    // An earlier copy that was just being delivered counted as active, and may have run as well.
    const alsoActive = after.split(",").length - 1;
    const ran = runs.all.map(({ data, attempt }) => [data, attempt]);
    assertEquals([ran[0], ran.at(-1)], [[0, 1], [3, 1]]);
    assert(ran.length - 2 <= alsoActive, `${JSON.stringify(ran)} after ${after}`);
    assertEquals(runs.mostActive, 1);
    // While the schedule of the copy fires, its message has gone and the next one is not stored: a retry may be, and the copy supersedes it.
    assert(consumer.status().ended.retried <= 1);
    assertEquals((await queue.counts())?.dead, 0);
  });
}

test("JobQueue.publish with replace runs after an active job of another worker that is killed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using other = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks", { lease: 1_000 });
  const started = Promise.withResolvers<void>();
  other.jobQueue<number>("checks").consume(() => {
    started.resolve();
    return new Promise(() => {});
  });
  await queue.publish(0, { id: "a" });
  await started.promise;
  assertEquals((await queue.publish(1, { id: "a", replace: true }))?.duplicate, false);
  const runs = new RecordedRuns<number>();
  await using _consumer = queue.consume(runs.handler);
  await other.close({ deadline: 0 });
  await runs.started(1);
  await waitUntil(async () => await queue.get("a") === null);
  assertEquals(runs.all.map(({ data }) => data), [1]);
});

test("JobQueue.publish with debounce runs once for a thousand publishes within a second, with the last data", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const runs = new RecordedRuns<number>();
  await using _consumer = others.jobQueue<number>("checks").consume(runs.handler);
  const start = performance.now();
  const receipts = await Promise.all(
    Array.from({ length: 1_000 }, async (_, n) => {
      await new Promise((resolve) => setTimeout(resolve, n));
      return await queue.publish(n, { id: "a", debounce: 5_000 });
    }),
  );
  assert(receipts.every((receipt) => receipt !== null));
  await runs.started(1);
  assert(performance.now() - start > 5_900);
  await waitUntil(async () => await queue.get("a") === null);
  assertEquals(runs.all.map(({ data }) => data), [999]);
});

test("JobQueue.publish with debounce from several connections leaves one job", async () => {
  await using server = await startNatsServer();
  const stores = Array.from({ length: 4 }, () => new QueueStores(server.url));
  await using cleanup = new AsyncDisposableStack();
  for (const one of stores) cleanup.use(one);
  await using foreign = await ForeignClient.connect(server.url);
  const publish = async (queue: number) => {
    for (let n = 0; n < 25; n++) {
      const receipt = await stores[queue].jobQueue("checks").publish([queue, n], { id: "a", debounce: HOUR });
      assertEquals(receipt?.duplicate, false);
    }
  };
  await Promise.all(stores.map((_, queue) => publish(queue)));
  assertEquals((await foreign.messages("WQ_checks")).length, 1);
  const job = await stores[0].jobQueue<number[]>("checks").get("a");
  assertEquals(job?.data?.[1], 24);
});

test("JobQueue.publishMany takes replace and debounce, but not in a batch", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks", { dedupe: 60_000 });
  await queue.publish(1, { id: "a", delay: HOUR });
  const jobs = [{ data: 2, id: "a", debounce: HOUR }, { data: 3, id: "b" }, { data: 4, id: "a", replace: true }];
  const receipts = await queue.publishMany(jobs);
  assertEquals(receipts?.map((receipt) => receipt?.duplicate), [false, false, false]);
  assertEquals([(await queue.get("a"))?.data, (await queue.get("b"))?.data], [4, 3]);
  await assertRejects(
    () => queue.publishMany(jobs, { atomic: true }),
    TypeError,
    "'atomic' must not come with 'replace'",
  );
});

test("JobQueue.publish refuses replace and debounce without an id, and what contradicts them", async () => {
  await using stores = new QueueStores(undefined);
  const queue = stores.jobQueue("checks");
  for (
    const [options, message] of [
      [{ replace: true }, "'replace' must come with an 'id'"],
      [{ debounce: 5 }, "'debounce' must come with an 'id'"],
      [{ id: "a", replace: true, key: "k" }, "'replace' must not come with 'key' or 'requestId'"],
      [{ id: "a", debounce: 1, requestId: "r" }, "'debounce' must not come with 'key' or 'requestId'"],
      [{ id: "a", debounce: 1, delay: 1 }, "'debounce' must not come with 'delay' or 'runAt'"],
    ] as const
  ) await assertRejects(() => queue.publish(1, options), TypeError, message);
  await assertRejects(() => queue.publish(1, { id: "a", debounce: 0 }), RangeError, "'debounce' must be ≥ 1 ms");
  assertEquals(await queue.publish(1, { id: "a", replace: false }), null);
});
