import { assertEquals, assertGreater } from "@std/assert";
import type { Job } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { openStores } from "../../_support/open_stores.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

test("JobConsumer runs a schedule whose handler is slower than its interval never twice at once", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const active = new Map<string, number>();
  const runs: string[] = [];
  let together = 0;
  const threeQuick = Promise.withResolvers<void>();
  const handler = async ({ data }: { data: string }) => {
    active.set(data, (active.get(data) ?? 0) + 1);
    assertEquals(active.get(data), 1, `${data} runs twice at once`);
    together = Math.max(together, [...active.values()].filter((count) => count > 0).length);
    runs.push(data);
    if (data === "slow") await threeQuick.promise;
    else if (runs.filter((data) => data === "quick").length === 3) threeQuick.resolve();
    active.set(data, active.get(data)! - 1);
  };
  await using consumer = queue.consume(handler, { concurrency: 5, maxAttempts: 1 });
  await queue.schedule("slow", { every: 1_000, data: "slow" });
  await queue.schedule("quick", { every: 1_000, data: "quick" });
  await waitUntil(() => runs.filter((data) => data === "slow").length === 2);
  await queue.unschedule("slow");
  await queue.unschedule("quick");
  await waitUntil(async () => (await queue.counts())?.active === 0);
  assertEquals(consumer.status().ended.dead, 0, "no run met another");
  assertEquals(together, 2, "other schedules run meanwhile");
  assertGreater(runs.filter((data) => data === "quick").length, 2, "one that waits holds up no other");
  assertEquals((await queue.counts())?.ready.normal, 0);
});

for (const handles of [1, 2]) {
  test(`Two consumers of one queue in a process do not run a schedule twice at once either (handles: ${handles})`, async () => {
    await using server = await startNatsServer();
    await using stores = openStores(server.url);
    const queue = stores.jobQueue("checks");
    let [active, most, runs] = [0, 0, 0];
    const handler = async () => {
      most = Math.max(most, ++active);
      await new Promise((resolve) => setTimeout(resolve, 2_300));
      active--;
      runs++;
    };
    await using _one = queue.consume(handler);
    await using _two = (handles === 1 ? queue : stores.jobQueue("checks")).consume(handler);
    await queue.schedule("slow", { every: 1_000, data: null });
    await waitUntil(() => runs === 2);
    await queue.unschedule("slow");
    assertEquals(most, 1);
  });
}

test("JobConsumer lets only the newest tick wait while its schedule runs, and that takes no room from other jobs", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const slow: Job<string>[] = [];
  let others = 0;
  const handler = async (job: Job<string>) => {
    if (job.data === "other") return void others++;
    slow.push(job);
    await released;
  };
  await using consumer = queue.consume(handler, { concurrency: 3 });
  for (const id of ["a", "b"]) await queue.schedule(id, { every: 1_000, data: id });
  // A tick that is given back and comes again, over and over, would look like one that kills its workers.
  await waitUntil(() => consumer.status().ended.skipped >= 6);
  assertEquals(slow.map(({ data }) => data).sort(), ["a", "b"]);
  for (let i = 0; i < 20; i++) await queue.publish("other");
  await waitUntil(() => others === 20);
  // Those that have run may still be being reported.
  await waitUntil(() => consumer.status().active === 2 && consumer.status().prefetched < 3);
  for (const id of ["a", "b"]) await queue.unschedule(id);
  await waitUntil(async () => {
    const counts = await queue.counts();
    return counts?.ready.normal === 0 && counts.active === 4;
  });
  release();
  await waitUntil(() => consumer.status().ended.completed === 24);
  assertEquals(slow.map(({ data }) => data).sort(), ["a", "a", "b", "b"], "what waited runs, once");
  assertEquals(slow.map(({ deliveries }) => deliveries), [1, 1, 1, 1]);
});

test("JobConsumer retries a failing tick, stores its dead letter, and the schedule continues", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const attempts: number[] = [];
  let broken = true;
  const handler = ({ attempt }: { attempt: number }) => {
    attempts.push(attempt);
    if (!broken) return;
    broken = attempt < 2;
    throw new Error("broken");
  };
  await using consumer = queue.consume(handler, { maxAttempts: 2, backoff: 10 });
  await queue.schedule("tick", { every: 2_000, data: null });
  await waitUntil(() => consumer.status().ended.dead === 1 && consumer.status().ended.completed > 0);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.reason, letter.attempts], ["@tick", "broken", 2]);
  // On a busy machine a newer tick may have run in the place of a retry before.
  const last = attempts.indexOf(2);
  assertEquals(attempts.slice(last - 1, last + 2), [1, 2, 1]);
});

test("JobConsumer does not try a failed tick again when a newer one waits, and runs that", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const fences: number[] = [];
  await using consumer = queue.consume(async ({ fence }) => {
    fences.push(fence);
    if (fences.length > 1) return;
    await waitUntil(() => consumer.status().prefetched === 1);
    await queue.unschedule("tick");
    throw new Error("broken");
  }, { concurrency: 2 });
  await queue.schedule("tick", { every: 1_000, data: null });
  await waitUntil(async () => consumer.status().ended.completed === 1 && (await queue.counts())?.active === 0);
  const { skipped, released, retried } = consumer.status().ended;
  assertEquals([skipped > 0, released, retried], [true, 0, 0]);
  assertEquals(fences.length, 2);
  assertGreater(fences[1], fences[0]);
});

test("Jobs that a schedule made are looked up, cancelled, redriven and discarded by the id that they show", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  for (const id of ["tick", "every second.", "@"]) {
    const shown = `@${id}`;
    await queue.schedule(id, { every: 1_000, data: id });
    await waitUntil(async () => await queue.get(shown) !== null);
    const info = await queue.get(shown);
    assertEquals([info?.id, info?.state, info?.data], [shown, "ready", id]);
    const seen: string[] = [];
    const consumer = queue.consume((job) => {
      seen.push(job.id);
      throw new Error("no");
    }, { maxAttempts: 1 });
    await waitUntil(() => consumer.status().ended.dead > 0);
    await queue.unschedule(id);
    await consumer.stop();
    assertEquals(seen[0], shown);
    await queue.cancel(shown);
    assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), [shown]);
    assertEquals(await queue.redrive(shown), 1);
    assertEquals(await queue.redrive(shown), 0);
    assertEquals((await queue.get(shown))?.id, shown);
    assertEquals(await queue.cancel(shown), true);
    assertEquals(await queue.cancel(shown), false);
    const again = queue.consume(() => {
      throw new Error("no");
    }, { maxAttempts: 1 });
    await queue.schedule(id, { every: 1_000, data: id });
    await waitUntil(async () => (await queue.counts())?.dead === 1);
    await queue.unschedule(id);
    await again.stop();
    await queue.cancel(shown);
    assertEquals(await queue.discard(shown), true);
  }
});

test("A job that was published under the id of a schedule's jobs is the first to be found", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("published", { id: "@tick" });
  await queue.schedule("tick", { every: 1_000, data: "scheduled" });
  await waitUntil(async () => (await queue.counts())?.ready.normal === 2);
  await queue.unschedule("tick");
  assertEquals((await queue.get("@tick"))?.data, "published");
  assertEquals(await queue.cancel("@tick"), true);
  assertEquals((await queue.get("@tick"))?.data, "scheduled");
});

test("A tick that is given back again and again while its worker is busy has cost it nothing, and runs", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 6_000 });
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns(({ id }) => id === "long" ? go.promise : undefined);
  await using consumer = queue.consume(runs.handler, { prefetch: 1, maxDeliveries: 2 });
  await queue.publish(1, { id: "long" });
  await runs.started(1);
  await queue.schedule("s", { every: 1_000, data: 2 });
  await waitUntil(async () => (await queue.counts())!.active === 2);
  await queue.unschedule("s");
  const info = () => foreign.api<{ delivered: { consumer_seq: number } }>("CONSUMER.INFO.WQ_checks.normal");
  await waitUntil(async () => (await info()).delivered.consumer_seq > 4);
  go.resolve();
  await waitUntil(() => runs.all.length === 2 || consumer.status().ended.dead > 0);
  assertEquals(runs.ids, ["long", "@s"]);
});
