import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import type { ActiveLimits } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

/** Counts the jobs that run, over all workers of a test. */
class Activity {
  now = 0;
  most = 0;
  done = 0;

  readonly handler = async (): Promise<void> => {
    this.most = Math.max(this.most, ++this.now);
    await new Promise((resolve) => setTimeout(resolve, 10));
    this.now--;
    this.done++;
  };

  again(): void {
    Object.assign(this, { most: 0, done: 0 });
  }
}

Deno.test("JobQueue.limitActive holds over all workers, may be changed while they work, and is lifted by null", async () => {
  await using server = await startNatsServer();
  await using admin = openStores(server.url);
  const queue = admin.jobQueue("checks");
  assertEquals(await queue.limitActive({ normal: 4 }), true);
  const activity = new Activity();
  await using stack = new AsyncDisposableStack();
  for (let worker = 0; worker < 3; worker++) {
    const stores = stack.use(openStores(server.url));
    stack.use(stores.jobQueue("checks").consume(activity.handler, { concurrency: 10 }));
  }
  const jobs = (count: number) => Array.from({ length: count }, (_, data) => ({ data }));
  await queue.publishMany(jobs(100));
  await waitUntil(() => activity.done === 100);
  assertEquals(activity.most, 4);

  activity.again();
  await queue.limitActive({ normal: 2 });
  await queue.publishMany(jobs(40));
  await waitUntil(() => activity.done === 40);
  assertEquals(activity.most, 2);

  activity.again();
  await queue.publishMany(jobs(1_000));
  await waitUntil(() => activity.done > 4);
  await queue.limitActive({ normal: null });
  await waitUntil(() => activity.done === 1_000);
  assertGreater(activity.most, 10, "more than one worker may have");
});

Deno.test("JobQueue.limitActive counts jobs that are prefetched, and those that wait for nothing but their handler", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.limitActive({ normal: 3 });
  const gate = Promise.withResolvers<void>();
  await using consumer = queue.consume(() => gate.promise, { concurrency: 1, prefetch: 10 });
  await queue.publishMany(Array.from({ length: 20 }, (_, data) => ({ data })));
  await waitUntil(() => consumer.status().active + consumer.status().prefetched === 3);
  const { num_ack_pending, num_pending } = await foreign.request<Record<string, number>>(
    "CONSUMER.INFO.WQ_checks.normal",
  );
  assertEquals([num_ack_pending, num_pending], [3, 17]);
  gate.resolve();
  await waitUntil(() => consumer.status().ended.completed === 20);
});

Deno.test("A priority whose limit is reached holds up no other, whoever reached it", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using others = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  await queue.limitActive({ normal: 1 });
  const gate = Promise.withResolvers<void>();
  const ran: string[] = [];
  const handler = ({ id, priority }: { id: string; priority: string }) => {
    ran.push(id);
    return priority === "normal" ? gate.promise : undefined;
  };
  await queue.publishMany(["n1", "n2", "n3"].map((id) => ({ data: id, id })));
  await using one = queue.consume(handler, { concurrency: 5 });
  await waitUntil(() => ran.length === 1);
  await using two = others.jobQueue<string>("checks").consume(handler, { concurrency: 5 });
  await waitUntil(() => two.status().state === "serving");
  for (const priority of ["high", "low", "high", "low"] as const) {
    const { id } = (await queue.publish(priority, { priority }))!;
    await waitUntil(() => ran.includes(id), 5_000);
  }
  await queue.publish("keyed", { id: "keyed", key: "k" });
  await waitUntil(() => ran.includes("keyed"), 5_000);
  assertEquals(ran.filter((id) => ["n1", "n2", "n3"].includes(id)), ["n1"]);
  gate.resolve();
  await waitUntil(() => ran.includes("n3"));
  assertEquals(one.status().ended.retried + two.status().ended.retried, 0);
});

Deno.test("JobQueue.limitActive leaves what it does not name, a pause included, and takes no job from a worker", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 60_000 });
  const deliveries: number[] = [];
  await using consumer = queue.consume((job) => void deliveries.push(job.deliveries), {
    concurrency: 10,
    prefetch: 50,
  });
  await queue.pause(undefined, { priority: "low" });
  await queue.limitActive({ high: 3, low: 2 });
  const config = async (name: string) =>
    (await foreign.request<{ config: Record<string, unknown> }>(`CONSUMER.INFO.WQ_checks.${name}`)).config;
  assertEquals((await config("high")).max_ack_pending, 3);
  assertEquals((await config("normal")).max_ack_pending, -1);
  const low = await config("low");
  assertEquals([low.max_ack_pending, String(low.pause_until).slice(0, 4)], [2, "9999"]);
  // Each change makes the workers ask anew: what is under way to them must not be lost to them for a lease.
  let published = 0;
  for (let limit = 5; limit < 15; limit++) {
    await queue.publishMany(Array.from({ length: 50 }, () => ({ data: published++ })));
    await queue.limitActive({ high: limit });
  }
  await waitUntil(() => consumer.status().ended.completed === published);
  assertEquals(deliveries.filter((count) => count > 1), []);
});

Deno.test("JobQueue.limitActive refuses what is no limit", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  for (const limit of [0, -1, 1.5, NaN, "3"]) {
    await assertRejects(() => queue.limitActive({ normal: limit as number }), RangeError, "'normal' must be a whole");
  }
  await assertRejects(() => queue.limitActive({ urgent: 1 } as ActiveLimits), RangeError, '"urgent"');
  await assertRejects(() => queue.limitActive(null as unknown as ActiveLimits), TypeError, "'limits'");
  assertEquals(await queue.limitActive({ normal: 1 }), null);
});
