import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

const MAX_PAYLOAD = 64 * 1024;
const startServer = () => startNatsServer({ config: `max_payload: ${MAX_PAYLOAD}` });

Deno.test("JobQueue.publish refuses data over the server's limit with an error that names it, and stores nothing", async () => {
  await using server = await startServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  for (const options of [{}, { delay: 60_000 }, { requestId: "r" }]) {
    const error = await assertRejects(() => queue.publish("x".repeat(MAX_PAYLOAD), options), RangeError);
    assertMatch(
      error.message,
      /must be ≤ \d+ bytes \(.*max_payload.*\): they have \d+\. Keep large data in an object bucket/,
    );
  }
  const counts = await queue.counts();
  assertEquals([counts?.ready.normal, counts?.delayed], [0, 0]);
  assertEquals((await queue.publish("x".repeat(1_000)))?.duplicate, false);
});

Deno.test("JobQueue.publishMany stores none of its jobs if one is over the server's limit", async () => {
  await using server = await startServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  for (const atomic of [false, true]) {
    const jobs = [{ data: 1 }, { data: "x".repeat(MAX_PAYLOAD) }, { data: 2 }];
    await assertRejects(() => queue.publishMany(jobs, { atomic }), RangeError, "bytes");
  }
  assertEquals((await queue.counts())?.ready.normal, 0);
});

Deno.test("JobConsumer retries and buries the largest job that can be published", async () => {
  await using server = await startServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  const publish = async (size: number) => {
    try {
      return await queue.publish("x".repeat(size), { id: "big", maxAttempts: 2, backoff: 10, headers: { a: "b" } });
    } catch (error) {
      assert(error instanceof RangeError);
      return null;
    }
  };
  let size = MAX_PAYLOAD;
  while (!await publish(size)) size--;
  const runs = new RecordedRuns(() => {
    throw new Error("x".repeat(1_000));
  });
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals(runs.all.map(({ attempt, deliveries }) => [attempt, deliveries]), [[1, 1], [2, 1]]);
  for await (const letter of queue.deadLetters()) {
    assertEquals([letter.id, letter.attempts, letter.reason.slice(0, 3)], ["big", 2, "xxx"]);
    assertEquals((letter.data as string).length, size);
  }
  assertEquals(await queue.redrive("big"), 1);
  await waitUntil(() => consumer.status().ended.dead === 2);
});

Deno.test("JobConsumer buries a foreign job that fills a message to its last byte", async () => {
  await using server = await startServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  const body = JSON.stringify("x".repeat(MAX_PAYLOAD - 2));
  // Without headers.
  await foreign.connection.request("wq.checks.ready.normal.full", body, { timeout: 10_000 });
  const runs = new RecordedRuns(() => {
    throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { maxAttempts: 2, backoff: 10 });
  await waitUntil(async () => (await queue.get("full")) === null);
  assert(runs.all.length <= 2, `${runs.all.length} runs`);
  assertEquals((await queue.counts())?.dead, 1);
  await consumer.stop();
});

/** Sends less and less data, until that is not refused. */
async function shrinkUntilTaken(send: (data: string) => Promise<unknown>, refusal: RegExp): Promise<void> {
  for (let size = MAX_PAYLOAD;; size -= 16) {
    try {
      return void assert(await send("x".repeat(size)));
    } catch (error) {
      assert(error instanceof RangeError);
      assertMatch(error.message, refusal);
    }
  }
}

for (const [dedupe, delay] of [[0, 0], [60_000, 0], [60_000, 1]]) {
  Deno.test(`JobConsumer retries the largest job that can be published under a long id: dedupe ${dedupe}, delay ${delay}`, async () => {
    await using server = await startServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks", { dedupe });
    await queue.open();
    const id = "x".repeat(2_900);
    const options = { id, delay, maxAttempts: 3, backoff: 10, headers: { a: "b" } };
    await shrinkUntilTaken((data) => queue.publish(data, options), /Keep large data/);
    const runs = new RecordedRuns(() => {
      throw new Error("no");
    });
    await using consumer = queue.consume(runs.handler);
    await waitUntil(() => consumer.status().ended.dead === 1);
    assertEquals(runs.all.map(({ attempt, deliveries }) => [attempt, deliveries]), [[1, 1], [2, 1], [3, 1]]);
  });
}

Deno.test("JobConsumer retries a foreign job whose headers leave no room for those of a copy", async () => {
  await using server = await startServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  const body = JSON.stringify("x".repeat(MAX_PAYLOAD - 10_040));
  await foreign.publish("wq.checks.ready.normal.full", body, { own: "x".repeat(10_000) });
  const runs = new RecordedRuns(() => {
    throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { maxAttempts: 2, backoff: 10 });
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals(runs.all.map(({ attempt, deliveries }) => [attempt, deliveries]), [[1, 1], [2, 2]]);
});

test("JobQueue.schedule takes data only that its jobs can be tried again with", async () => {
  await using server = await startServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const refusal = /^Cannot keep the schedule as its data .*max_payload.* Keep large data/;
  await shrinkUntilTaken((data) => queue.schedule("s".repeat(500), { every: 1_000, data }), refusal);
  const runs = new RecordedRuns(({ attempt }) => {
    if (attempt === 1) throw new Error("once more");
  });
  await using consumer = queue.consume(runs.handler, { backoff: 10 });
  await waitUntil(() => consumer.status().ended.completed > 0);
  // A newer tick may have run in the place of the first one's retry.
  assertEquals(runs.all[0].attempt, 1);
  assertEquals(runs.all.find(({ attempt }) => attempt === 2)?.deliveries, 1);
});

Deno.test("JobConsumer reports a failure whose message is over the server's limit, also when it checks for listeners", async () => {
  await using server = await startServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  for (const wait of [0, 300]) {
    const consumer = queue.consume(async () => {
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      throw new Error("why ".repeat(MAX_PAYLOAD));
    }, { maxAttempts: 2, backoff: 0 });
    await queue.publish(1, { id: `after ${wait}` });
    await waitUntil(() => consumer.status().ended.dead === 1);
    assertEquals(consumer.status().ended.retried, 1);
    await consumer.stop();
  }
  const letters = await Array.fromAsync(queue.deadLetters());
  assertEquals(letters.map(({ id, attempts }) => [id, attempts]), [["after 300", 2], ["after 0", 2]]);
  for (const { reason } of letters) assertMatch(reason, /^why why /);
});

Deno.test("JobQueue.publish names the limit where a server takes no message that is large enough for a retry", async () => {
  await using server = await startNatsServer({ config: "max_payload: 500" });
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await assertRejects(() => queue.publish(1), RangeError, "max_payload must be > 1024 bytes");
});
