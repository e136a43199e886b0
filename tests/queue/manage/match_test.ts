import { assert, assertEquals, assertRejects } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

const HOUR = 3_600_000;

Deno.test("JobQueue.cancel takes out all jobs that match a filter, in whatever state, and no others", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const worker = queue.consume((job) => {
    started.resolve();
    return new Promise<void>((resolve) => {
      job.signal.addEventListener("abort", () => (aborted.resolve(), resolve()));
    });
  });
  await queue.publish("", { id: "a.active" });
  await started.promise;
  await queue.pause();
  await queue.publish("", { id: "a.high", priority: "high" });
  await queue.publish("", { id: "a.later", delay: HOUR, priority: "low" });
  await queue.publish("", { id: "a.keyed", key: "k" });
  await queue.publish("", { id: "b.low", priority: "low" });
  await queue.publish("", { id: "b.keyed", key: "k" });
  assertEquals(await queue.cancel({ idPrefix: "a." }, { dryRun: true }), { matched: 4, done: 0 });
  assertEquals(await queue.cancel({ idPrefix: "x" }), { matched: 0, done: 0 });
  assertEquals(await queue.cancel({ idPrefix: "a." }), { matched: 4, done: 4 });
  await aborted.promise;
  const left = async (id: string) => (await queue.get(id))?.id ?? null;
  const ids = ["a.active", "a.high", "a.later", "a.keyed", "b.low", "b.keyed"];
  assertEquals(await Promise.all(ids.map(left)), [null, null, null, null, "b.low", "b.keyed"]);
  // Jobs with a key have no priority.
  assertEquals(await queue.cancel({ priority: "normal" }), { matched: 0, done: 0 });
  assertEquals(await queue.cancel({ priority: "low", enqueuedBefore: new Date(0) }), { matched: 0, done: 0 });
  assertEquals(await queue.cancel({ priority: "low", enqueuedBefore: new Date("2100-01-01") }), {
    matched: 1,
    done: 1,
  });
  assertEquals(await left("b.keyed"), "b.keyed");
  await worker.stop();
  assertEquals(await stores.jobQueue("nowhere").cancel({ idPrefix: "a" }), { matched: 0, done: 0 });
});

Deno.test("JobQueue.cancel with a filter leaves a job that has come to an id whose delete was not answered", async () => {
  await using server = await startNatsServer();
  await using owner = new QueueStores(server.url);
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  const [queue, other] = [stores.jobQueue("checks"), owner.jobQueue("checks")];
  await other.publish("old", { id: "a", priority: "low" });
  let cuts = true;
  let isPublished = false;
  proxy.tampering.drop = (_, payload) => {
    if (!cuts || !payload.includes("stream_msg_delete_response")) return false;
    cuts = false;
    other.publish("new", { id: "a", priority: "high" }).then(() => {
      isPublished = true;
      proxy.cut();
    });
    return true;
  };
  // The one that matched is gone, and was to be.
  assertEquals(await queue.cancel({ priority: "low" }), { matched: 1, done: 1 });
  assertEquals([isPublished, (await other.get("a"))?.data], [true, "new"]);
});

Deno.test("JobQueue.redrive and discard act on the dead letters that match a filter", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const worker = queue.consume(({ data }) => {
    throw new Error(data);
  }, { maxAttempts: 1, concurrency: 4 });
  const jobs = ["HTTP 503 (a)", "HTTP 503 (b)", "timeout", "bad data"];
  const letters = jobs.flatMap((data, n) => [{ data, id: `x${n}` }, { data, id: `y${n}`, priority: "low" as const }]);
  await queue.publishMany(letters);
  await waitUntil(() => worker.status().ended.dead === 8);
  await worker.stop();
  assertEquals(await queue.redrive({ reason: "HTTP 503" }, { dryRun: true }), { matched: 4, done: 0 });
  await queue.publish("in the queue", { id: "x0" });
  assertEquals(await queue.redrive({ reason: "HTTP 503", idPrefix: "x" }), { matched: 2, done: 1 });
  assertEquals((await queue.get("x1"))?.data, "HTTP 503 (b)");
  assertEquals(await queue.discard({ reason: "timeout", priority: "low" }), { matched: 1, done: 1 });
  assertEquals(await queue.discard({ enqueuedBefore: new Date(0) }), { matched: 0, done: 0 });
  const dead = (await Array.fromAsync(queue.deadLetters())).map(({ id }) => id).sort();
  assertEquals(dead, ["x0", "x2", "x3", "y0", "y1", "y3"]);
  assertEquals(await queue.discard({ enqueuedBefore: new Date(Date.now() + HOUR) }), { matched: 6, done: 6 });
  assertEquals((await queue.counts())?.dead, 0);
});

Deno.test("JobQueue.cancel with a filter goes through many jobs in pages, reports its progress, and ends with its signal", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const jobs = Array.from({ length: 2_000 }, (_, n) => ({ data: n, id: `${n % 2 ? "odd" : "even"}${n}` }));
  await queue.publishMany(jobs);
  const stop = new AbortController();
  const begun = await queue.cancel({ idPrefix: "even" }, { signal: stop.signal, progress: () => stop.abort() });
  assert(begun !== null && begun.matched < 1_000 && begun.done > 0);
  const told: number[] = [];
  const rest = await queue.cancel({ idPrefix: "even" }, { progress: ({ done }) => void told.push(done) });
  assertEquals(rest, { matched: 1_000 - begun.done, done: 1_000 - begun.done });
  assertEquals([told.at(-1), told.toSorted((a, b) => a - b)], [rest!.done, told]);
  assertEquals((await queue.counts())?.ready.normal, 1_000);
});

Deno.test("JobQueue.redrive with a filter, made twice at once, redrives each dead letter once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const worker = queue.consume(() => {
    throw new Error("no");
  }, { maxAttempts: 1, concurrency: 50 });
  await queue.publishMany(Array.from({ length: 300 }, (_, n) => ({ data: n, id: `job${n}` })));
  await waitUntil(() => worker.status().ended.dead === 300);
  await worker.stop();
  const both = await Promise.all([queue.redrive({ reason: "no" }), queue.redrive({ reason: "no" })]);
  assertEquals(both[0]!.done + both[1]!.done, 300);
  const counts = await queue.counts();
  assertEquals([counts?.ready.normal, counts?.dead], [300, 0]);
});

Deno.test("JobQueue.cancel, redrive and discard refuse filters that would match all by mistake", async () => {
  await using stores = new QueueStores(undefined);
  const queue = stores.jobQueue("checks");
  for (const act of [queue.cancel, queue.redrive, queue.discard]) {
    const call = (filter: object) => act.call(queue, filter as { idPrefix: string });
    await assertRejects(() => call({}), TypeError, "the filter must have at least one of");
    await assertRejects(() => call({ idPrefix: undefined }), TypeError, "the filter must have at least one of");
    await assertRejects(() => call({ idPrefix: "" }), TypeError, "'idPrefix' must not be empty");
    await assertRejects(() => call({ prefix: "a" }), TypeError, "'prefix'");
    await assertRejects(() => call({ priority: "urgent" }), RangeError, "'priority' must be one of");
    await assertRejects(() => call({ enqueuedBefore: 5 }), TypeError, "'enqueuedBefore'");
    assertEquals(await call({ idPrefix: "a" }), null);
  }
  await assertRejects(() => queue.cancel({ reason: "no" } as never), TypeError, "'reason'");
});
