import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { type Job, RetryJobError, UnrecoverableJobError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { openStores } from "../../_support/open_stores.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

Deno.test("JobQueue.consumeBatches hands over what is there, in batches of at most size, concurrency at a time", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.publishMany(Array.from({ length: 95 }, (_, data) => ({ data })));
  const sizes: number[] = [];
  const seen: number[] = [];
  let [now, most] = [0, 0];
  const handler = async (jobs: Job<number>[]) => {
    sizes.push(jobs.length);
    seen.push(...jobs.map((job) => job.data));
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 20));
    now--;
  };
  await using consumer = queue.consumeBatches(handler, { size: 10, concurrency: 2, wait: 50 });
  await waitUntil(() => consumer.status().ended.completed === 95);
  assertEquals([Math.max(...sizes), most], [10, 2]);
  assert(sizes.length < 20, `${sizes.length} batches for 95 jobs`);
  assertEquals(seen.toSorted((a, b) => a - b), Array.from({ length: 95 }, (_, n) => n));
});

Deno.test("JobQueue.consumeBatches waits for others no longer than wait", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const batches: number[][] = [];
  const handler = (jobs: Job<number>[]) => void batches.push(jobs.map((job) => job.data));
  await using consumer = queue.consumeBatches(handler, { size: 100, wait: 100 });
  await queue.publish(1);
  await waitUntil(() => batches.length === 1);
  await queue.publishMany([2, 3, 4].map((data) => ({ data })));
  await waitUntil(() => consumer.status().ended.completed === 4);
  assertEquals(batches[0], [1]);
});

Deno.test("JobQueue.consumeBatches takes an outcome for each job: a value, a retry, a failure for good", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const runs: string[] = [];
  const outcome = ({ id, attempt }: Job<string>): unknown => {
    runs.push(`${id} ${attempt}`);
    if (id === "fails once" && attempt === 1) return new Error("once");
    if (id === "fails" && attempt < 3) return new Error("always");
    if (id === "fails") return new Error("at last");
    if (id === "unrecoverable") return new UnrecoverableJobError("never");
    if (id === "postponed" && runs.filter((run) => run === "postponed 1").length === 1) return new RetryJobError();
    return `value of ${id}`;
  };
  const ids = ["fine", "fails once", "fails", "unrecoverable", "postponed"];
  await queue.publishMany(ids.map((id) => ({ data: id, id, keepResult: 60_000 })));
  await using consumer = queue.consumeBatches((jobs) => jobs.map(outcome), { maxAttempts: 3, backoff: 10 });
  await waitUntil(() => consumer.status().ended.dead === 2 && consumer.status().ended.completed === 3);
  assertEquals(runs.toSorted(), [
    "fails 1",
    "fails 2",
    "fails 3",
    "fails once 1",
    "fails once 2",
    "fine 1",
    "postponed 1",
    "postponed 1",
    "unrecoverable 1",
  ]);
  for (const id of ["fine", "fails once", "postponed"]) {
    assertEquals(await queue.result(id), { value: `value of ${id}` });
  }
  const letters = await Array.fromAsync(queue.deadLetters());
  assertEquals(letters.map(({ id, reason }) => `${id}: ${reason}`).toSorted(), [
    "fails: at last",
    "unrecoverable: never",
  ]);
});

Deno.test("JobQueue.consumeBatches takes no outcomes as success of all, and an error as failure of all", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  let calls = 0;
  const handler = () => {
    if (++calls === 1) throw new Error("the whole batch");
  };
  await queue.publishMany(Array.from({ length: 5 }, (_, data) => ({ data })));
  await using consumer = queue.consumeBatches(handler, { size: 5, wait: 60_000, backoff: 10 });
  await waitUntil(() => consumer.status().ended.retried === 5);
  await waitUntil(() => consumer.status().ended.completed === 5);
  assertEquals(calls, 2);
});

Deno.test("JobQueue.consumeBatches times out and cancels single jobs of a batch", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const gate = Promise.withResolvers<void>();
  const aborted: string[] = [];
  const began = Promise.withResolvers<void>();
  const handler = async (jobs: Job<string>[]) => {
    for (const { id, signal } of jobs) signal.addEventListener("abort", () => aborted.push(id));
    began.resolve();
    await gate.promise;
  };
  await queue.publish("", { id: "cancelled" });
  await queue.publish("", { id: "timed out", timeout: 300, maxAttempts: 1 });
  await queue.publish("", { id: "fine" });
  await using consumer = queue.consumeBatches(handler, { size: 3, wait: 5_000 });
  await began.promise;
  await queue.cancel("cancelled");
  await waitUntil(() => aborted.includes("cancelled"));
  await waitUntil(() => consumer.status().ended.dead === 1);
  gate.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  await waitUntil(() => consumer.status().ended.released === 1);
  assertEquals(aborted.toSorted(), ["cancelled", "timed out"]);
});

Deno.test("JobConsumer.stop lets the batches that have begun finish, and gives the rest back", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.publishMany(Array.from({ length: 30 }, (_, data) => ({ data })));
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let handled = 0;
  const handler = async (jobs: unknown[]) => {
    begun.resolve();
    await gate.promise;
    handled += jobs.length;
  };
  const consumer = queue.consumeBatches(handler, { size: 10, prefetch: 10 });
  await begun.promise;
  const stopping = consumer.stop();
  gate.resolve();
  const { abandoned } = await stopping;
  assertEquals(abandoned, []);
  assertGreater(handled, 0);
  const counts = await queue.counts();
  assertEquals([counts?.ready.normal, counts?.active], [30 - handled, 0]);
});

Deno.test("JobQueue.consumeBatches refuses wrong options", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  for (const size of [0, -1, 1.5, NaN]) {
    assertThrows(() => queue.consumeBatches(() => {}, { size }), RangeError, "'size'");
  }
  assertThrows(() => queue.consumeBatches(() => {}, { wait: -1 }), RangeError, "'wait'");
  assertThrows(() => queue.consumeBatches(() => {}, { concurrency: 0 }), RangeError, "'concurrency'");
  assertThrows(() => queue.consumeBatches("no function" as unknown as () => void), TypeError, "'handler'");
});

Deno.test("JobQueue.consumeBatches leaves out what was cancelled before its batch began, and counts a timeout from then", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const go = Promise.withResolvers<void>();
  const seen: string[] = [];
  await using consumer = queue.consumeBatches(async (jobs) => {
    seen.push(...jobs.map(({ id, attempt }) => `${id} ${attempt}`));
    if (jobs[0].id === "first") await go.promise;
  }, { size: 4, backoff: 10 });
  await queue.publish(1, { id: "first" });
  await waitUntil(() => seen.length === 1);
  await queue.publish(1, { id: "cancelled" });
  await queue.publish(1, { id: "waits", timeout: 200 });
  await waitUntil(() => consumer.status().active === 3);
  assertEquals(await queue.cancel("cancelled"), true);
  // When it is due, the other one has waited for longer than its timeout.
  await queue.publish(1, { id: "last", delay: 400 });
  await waitUntil(async () => (await queue.get("last"))?.state === "active");
  go.resolve();
  await waitUntil(() => consumer.status().ended.completed === 3);
  assertEquals(seen, ["first 1", "waits 1", "last 1"]);
});

Deno.test("JobQueue.consumeBatches continues when all jobs of a batch have timed out, though its handler never ends", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const seen: string[] = [];
  await using consumer = queue.consumeBatches(async (jobs) => {
    seen.push(...jobs.map(({ id }) => id));
    if (jobs[0].id === "hangs") await new Promise(() => {});
  }, { size: 2, timeout: 200, maxAttempts: 1 });
  await queue.publish(1, { id: "hangs" });
  await waitUntil(() => seen.length === 1);
  await queue.publish(1, { id: "fine" });
  await waitUntil(() => consumer.status().ended.completed === 1 && consumer.status().ended.dead === 1);
  assertEquals(seen, ["hangs", "fine"]);
});

Deno.test("JobConsumer.stop gives back at once what waits for others of its batch", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const consumer = queue.consumeBatches(() => {}, { wait: 60_000 });
  await queue.publish(1, { id: "a", ttl: 60_000 });
  await waitUntil(() => consumer.status().active === 1);
  assertEquals(await consumer.stop(), { givenBack: 1, abandoned: [] });
  assertEquals((await queue.get("a"))?.state, "ready");
  assertEquals((await queue.counts())?.active, 0);
});
