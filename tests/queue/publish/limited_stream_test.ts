import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { JetStreamStoreError, type JobQueue } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

const test = testFrom("2.14");

/** The ids of all jobs that are in the queue. */
async function idsOf(queue: JobQueue): Promise<Set<string>> {
  return new Set((await Array.fromAsync(queue.jobs())).map(({ id }) => id));
}

/** Publishes jobs of a kilobyte until one is refused; returns the ids that were confirmed, and the refusal. */
async function publishUntilRefused(queue: JobQueue, prefix: string, most: number, pause = 0) {
  const confirmed: string[] = [];
  for (let n = 0; n < most; n++) {
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      const receipt = await queue.publish("x".repeat(1_000), { id: `${prefix}${n}` });
      if (receipt) confirmed.push(receipt.id);
    } catch (error) {
      return { confirmed, error };
    }
  }
  return { confirmed, error: undefined };
}

Deno.test("JobQueue.publish sees a limit that is set right before", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "first" });
  await foreign.update("WQ_checks", { max_bytes: 50_000 });
  const { confirmed, error } = await publishUntilRefused(queue, "job", 200);
  assert(error instanceof JetStreamStoreError && error.code === "limits");
  assertEquals(await idsOf(queue), new Set(["first", ...confirmed]));
  await foreign.update("WQ_checks", { max_bytes: -1 });
  assert(await queue.publish(1));
});

for (
  const [limit, change] of Object.entries({
    "max_msgs 5": { max_msgs: 5 },
    "max_age 3600 s": { max_age: 3_600e9 },
    "max_msgs_per_subject 1": { max_msgs_per_subject: 1 },
  })
) {
  test(`JobQueue.publish refuses on a stream with ${limit}, by which the server would remove jobs`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    await using foreign = await ForeignClient.connect(server.url);
    const queue = stores.jobQueue("checks");
    await queue.publish(1, { id: "first" });
    await foreign.update("WQ_checks", change);
    // By a process that opens it now, and before long by one that had opened it.
    for (const each of [new QueueStores(server.url), stores]) {
      const jobs = each.jobQueue("checks");
      const refused = each === stores ? queue : jobs;
      await waitUntil(async () => {
        const error = await refused.publish(1, { id: "first" }).catch((error) => error);
        if (!(error instanceof JetStreamStoreError)) return false;
        assertEquals(error.code, "limits");
        assertStringIncludes(error.message, `WQ_checks has ${limit}`);
        return true;
      });
      await assertRejects(() => jobs.publishMany([{ data: 1 }, { data: 2 }]), JetStreamStoreError, limit);
      await assertRejects(() => jobs.publishMany([{ data: 1 }], { atomic: true }), JetStreamStoreError, limit);
      await assertRejects(() => jobs.schedule("s", { every: 1_000, data: 1 }), JetStreamStoreError, limit);
      if (each !== stores) await each.close();
    }
    assertEquals(await idsOf(queue), new Set(["first"]));
    // Lifted, it takes jobs again.
    await foreign.update("WQ_checks", { max_msgs: -1, max_age: 0, max_msgs_per_subject: -1 });
    assert(await queue.publish(1, { id: "second" }));
  });
}

Deno.test("JobQueue.publish fills a stream with max_bytes up to its reserve, and no confirmed job is removed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { maxBytes: 100_000 });
  const { confirmed, error } = await publishUntilRefused(queue, "job", 200);
  assert(error instanceof JetStreamStoreError);
  assertEquals(error.code, "limits");
  assertStringIncludes(error.message, "its stream WQ_checks has ");
  assertStringIncludes(error.message, "80000 of its 100000 ('maxBytes')");
  assertEquals(await idsOf(queue), new Set(confirmed));
  assertLess(40, confirmed.length);
  await assertRejects(
    () => queue.publishMany(Array(50).fill({ data: "x".repeat(1_000) })),
    JetStreamStoreError,
    "full",
  );
  assertEquals((await idsOf(queue)).size, confirmed.length);
  // Workers make room.
  {
    await using consumer = queue.consume(() => {});
    await waitUntil(() => consumer.status().ended.completed === confirmed.length);
  }
  assert(await queue.publish("x".repeat(1_000)));
});

Deno.test("JobQueue.publish of many producers at once loses no confirmed job of a stream with max_bytes", async () => {
  await using server = await startNatsServer();
  const all = Array.from({ length: 8 }, () => new QueueStores(server.url));
  await using foreign = await ForeignClient.connect(server.url);
  await all[0].jobQueue("checks").open();
  await foreign.update("WQ_checks", { max_bytes: 400_000 });
  const runs = all.map(async (stores, producer) => {
    const queue = stores.jobQueue("checks");
    const publishers = Array.from({ length: 8 }, (_, n) => publishUntilRefused(queue, `${producer}-${n}-`, 200));
    return (await Promise.all(publishers)).flatMap(({ confirmed, error }) => {
      assert(error instanceof JetStreamStoreError && error.code === "limits", String(error));
      return confirmed;
    });
  });
  const confirmed = (await Promise.all(runs)).flat();
  const kept = await idsOf(all[0].jobQueue("checks"));
  assertEquals(confirmed.filter((id) => !kept.has(id)), []);
  assertLess(150, confirmed.length);
  await Promise.all(all.map((stores) => stores.close()));
});

Deno.test("JobQueue.publish loses no confirmed job where max_bytes is set while producers publish", async () => {
  await using server = await startNatsServer();
  const all = Array.from({ length: 4 }, () => new QueueStores(server.url));
  await using foreign = await ForeignClient.connect(server.url);
  await Promise.all(all.map((stores) => stores.jobQueue("checks").open()));
  // Each publishes at most 100 a second, so all of them need more than a second, in which they look again, to fill it.
  const runs = all.map((stores, producer) => publishUntilRefused(stores.jobQueue("checks"), `${producer}-`, 2_000, 10));
  await waitUntil(async () => (await foreign.stream("WQ_checks"))!.state.messages >= 50);
  await foreign.update("WQ_checks", { max_bytes: 1_000_000 });
  const confirmed = (await Promise.all(runs)).flatMap(({ confirmed, error }) => {
    assert(error instanceof JetStreamStoreError && error.code === "limits", String(error));
    return confirmed;
  });
  const kept = await idsOf(all[0].jobQueue("checks"));
  assertEquals(confirmed.filter((id) => !kept.has(id)), []);
  await Promise.all(all.map((stores) => stores.close()));
});

Deno.test("JobConsumer retries jobs of a full stream, and none is removed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { maxBytes: 50_000 });
  const { confirmed } = await publishUntilRefused(queue, "job", 200);
  const runs = new Map<string, number>();
  await using consumer = queue.consume(({ id }) => {
    runs.set(id, (runs.get(id) ?? 0) + 1);
    if (runs.get(id) === 1) throw new Error("not yet");
  }, { concurrency: 20, backoff: 10 });
  await waitUntil(() => consumer.status().ended.completed === confirmed.length);
  assertEquals(new Set(runs.keys()), new Set(confirmed));
  assertEquals((await queue.counts())?.dead, 0);
});

Deno.test("JobConsumer keeps dead letters where a limit was set that removes the oldest", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(() => {
    throw new Error("no");
  }, { maxAttempts: 1 });
  await queue.publish(1, { id: "first" });
  await waitUntil(() => consumer.status().ended.dead === 1);
  await foreign.update("WQDEAD_checks", { max_msgs: 2, discard: "old" });
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // The limits are looked at again after a second.
  await queue.publish(2, { id: "second" });
  await waitUntil(() => consumer.status().ended.dead === 2);
  await queue.publish(3, { id: "third" });
  await waitUntil(async () => {
    const { config } = await foreign.api<{ config: { discard: string } }>("STREAM.INFO.WQDEAD_checks");
    return config.discard === "new";
  });
  const dead = (await Array.fromAsync(queue.deadLetters())).map(({ id }) => id);
  assertEquals(dead, ["second", "first"]);
  assertEquals(await idsOf(queue), new Set(["third"]));
  await consumer.stop({ deadline: 0 });
});

Deno.test("QueueOptions.maxBytes that is less than what a queue has is refused, and removes neither jobs nor dead letters", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const ids = Array.from({ length: 30 }, (_, n) => `job${n}`);
  await queue.publishMany(ids.map((id) => ({ data: "x".repeat(1_000), id, maxAttempts: 1 })));
  const small = stores.jobQueue("checks", { maxBytes: 10_000 });
  const error = await assertRejects(
    () => small.publish(1),
    JetStreamStoreError,
    "Cannot change 'maxBytes' of queue checks",
  );
  assertEquals(error.code, "limits");
  assertEquals(await idsOf(queue), new Set(ids));
  {
    await using consumer = queue.consume(() => {
      throw new Error("no");
    }, { concurrency: 10 });
    await waitUntil(() => consumer.status().ended.dead === 30);
  }
  // Now the jobs fit, and the dead letters do not.
  assert(await small.publish(1, { id: "last", maxAttempts: 1 }));
  await using consumer = small.consume(() => {
    throw new Error("no");
  });
  await waitUntil(async () => (await Array.fromAsync(queue.deadLetters())).length >= 30);
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // It looks at the limits of the dead letters' stream within a second.
  const dead = new Set((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id));
  assertEquals(ids.filter((id) => !dead.has(id)), []);
  await consumer.stop({ deadline: 0 });
});

Deno.test("JobConsumer that retries removes no older job where a limit was set right before", async () => {
  await using server = await startNatsServer();
  await using producer = new QueueStores(server.url);
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const fail = Promise.withResolvers<void>();
  let runs = 0;
  const queue = producer.jobQueue("checks");
  const ids = Array.from({ length: 9 }, (_, n) => `job${n}`);
  await queue.publishMany(ids.map((id) => ({ data: 1, id, priority: "low" })));
  await queue.publish(1, { id: "failing", priority: "high" });
  await using consumer = stores.jobQueue("checks").consume(async () => {
    if (++runs > 1) return;
    await fail.promise;
    throw new Error("not yet");
  }, { backoff: 10, priorities: ["high"] });
  await waitUntil(() => runs === 1);
  await foreign.update("WQ_checks", { max_msgs: 10 });
  // Behind the advisory the server answers this.
  await stores.kvBucket("other").put("key", "value");
  fail.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(await idsOf(queue), new Set(ids));
  assertEquals(runs, 2);
});
