import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError, type JetStreamStores, type JobQueue } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";
import { suspend } from "../../_support/suspend.ts";

const ATOMIC = { atomic: true };

/** A queue whose jobs may have 2000 bytes. */
async function openSmall(stores: JetStreamStores, foreign: ForeignClient): Promise<JobQueue> {
  const queue = stores.jobQueue("checks");
  await queue.open();
  const { config } = await foreign.request<{ config: object }>("STREAM.INFO.WQ_checks");
  await foreign.request("STREAM.UPDATE.WQ_checks", { ...config, max_msg_size: 2_000 });
  return queue;
}

function jobs(prefix: string, count: number): { data: number; id: string }[] {
  return Array.from({ length: count }, (_, data) => ({ data, id: `${prefix}${data}` }));
}

Deno.test("JobQueue.publishMany with atomic stores nothing of a batch of which the server refuses one job", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = await openSmall(stores, foreign);
  const large = { data: "x".repeat(3_000), id: "large" };
  await assertRejects(() => queue.publishMany([...jobs("a", 5), large, ...jobs("b", 5)], ATOMIC), JetStreamStoreError);
  const counts = await queue.counts();
  assertEquals([counts?.ready.normal, await queue.get("a0")], [0, null]);
  const receipts = await queue.publishMany([...jobs("a", 5), ...jobs("b", 5)], ATOMIC);
  assertEquals(receipts?.map((receipt) => receipt?.duplicate), Array(10).fill(false));
});

Deno.test("JobQueue.publishMany with atomic sends no more when the server refuses a batch, and says how much is stored", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = await openSmall(stores, foreign);
  const good = jobs("job", 12_000);
  const bad = good.map((job) => job.id === "job1500" ? { ...job, data: "x".repeat(3_000) } : job);
  const error = await assertRejects(() => queue.publishMany(bad, ATOMIC), JetStreamStoreError);
  const stored = (await queue.counts())?.ready.normal ?? 0;
  assert(stored >= 1_000 && stored < 11_000, `stored: ${stored}`);
  assert(error.message.endsWith(`; ${stored} of 12000 jobs are stored`), error.message);
  assertEquals([error.code, error.serverCode], ["server", 10176]);
  const receipts = await queue.publishMany(good, ATOMIC);
  assertEquals(receipts?.filter((receipt) => receipt?.duplicate).length, stored);
});

Deno.test("JobQueue.publishMany with atomic recognizes its own jobs when the connection broke before the reply came", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = openStores(proxy.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("another's", { id: "job7" });
  let lost = 0;
  proxy.tampering.drop = (_subject, payload) => {
    if (!payload.includes('"batch":') || lost > 0) return false;
    lost++;
    setTimeout(() => proxy.cut());
    return true;
  };
  const receipts = await queue.publishMany(jobs("job", 50), ATOMIC);
  assertEquals(lost, 1);
  assertEquals(receipts?.flatMap((receipt) => receipt?.duplicate === false ? [] : [receipt?.id]), ["job7"]);
  assertEquals((await queue.counts())?.ready.normal, 50);
  assertEquals((await queue.get("job7"))?.data, "another's");
});

Deno.test("JobQueue.publishMany with atomic stores each id once when several callers publish the same", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using others = openStores(server.url);
  const callers = [stores, others, stores].map((each) => each.jobQueue("checks"));
  await callers[0].open();
  for (let round = 0; round < 5; round++) {
    const lists = await Promise.all(callers.map((queue) => queue.publishMany(jobs(`${round}-`, 200), ATOMIC)));
    for (let n = 0; n < 200; n++) {
      assertEquals(lists.filter((receipts) => receipts?.[n]?.duplicate === false).length, 1, `job ${round}-${n}`);
    }
  }
  assertEquals((await callers[0].counts())?.ready.normal, 1_000);
});

Deno.test("JobQueue.publishMany with atomic stores all batches of a long list, each in its order", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const receipts = await queue.publishMany(jobs("job", 2_500), ATOMIC);
  assert(receipts?.every((receipt) => receipt?.duplicate === false));
  for (const start of [0, 1_000, 2_000]) {
    const batch = receipts!.slice(start, start + 1_000).map((receipt) => receipt!.sequence);
    assertEquals(batch, batch.map((_, n) => batch[0] + n));
  }
});

Deno.test("JobQueue.publishMany with atomic has few batches under way at once, however many calls there are", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = openStores(proxy.url, { timeout: 60_000 });
  let [now, most] = [0, 0];
  const commits: string[] = [];
  proxy.tampering.lose = (subject, payload) => {
    if (!payload.includes("Nats-Batch-Commit")) return false;
    commits.push(subject);
    most = Math.max(most, ++now);
    return false;
  };
  proxy.tampering.drop = (_, payload) => {
    if (payload.includes('"batch":')) now--;
    return false;
  };
  const calls = Array.from(
    { length: 400 },
    (_, n) => stores.jobQueue("checks").publishMany(jobs(`call${n}.`, 3), ATOMIC),
  );
  const receipts = (await Promise.all(calls)).flat();
  assert(receipts.every((receipt) => receipt?.duplicate === false));
  assertEquals(receipts.length, 1_200);
  // A busy server answers late, and what it has not answered within a second is sent again.
  const repeated = commits.length - new Set(commits).size;
  assert(most >= 4 && most <= 4 + repeated, `${most} under way, ${repeated} repeated`);
});

Deno.test("JobQueue.publishMany with atomic ends within its deadline also where it waits for other batches", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url, { timeout: 10_000 });
  const queue = stores.jobQueue("checks");
  await queue.open();
  await suspend(server);
  const publish = (prefix: string) => queue.publishMany(jobs(prefix, 2), ATOMIC);
  const first = ["a", "b", "c", "d"].map(publish);
  // It has its turn when these are given up, and then only the rest of its own time.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const start = performance.now();
  assertEquals(await publish("e"), null);
  assertLess(performance.now() - start, 14_000);
  assertEquals(await Promise.all(first), [null, null, null, null]);
  server.resume();
});
