import { assert, assertEquals, assertRejects } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

for (const atomic of [false, true]) {
  const how = atomic ? "with atomic" : "without atomic";

  Deno.test(`JobQueue.publishMany ${how} gives a receipt for each job in their order`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    await using foreign = await ForeignClient.connect(server.url);
    const queue = stores.jobQueue("checks");
    assertEquals(await queue.publishMany([], { atomic }), []);
    const receipts = await queue.publishMany([
      { data: "a", id: "a" },
      { data: "b", priority: "high", maxAttempts: 3, headers: { h: "v" } },
      { data: "c", id: "c", delay: 60_000 },
      { data: "d", key: "k" },
      { data: "e", requestId: "r" },
    ], { atomic });
    assertEquals(receipts?.map((receipt) => receipt?.duplicate), [false, false, false, false, false]);
    assertEquals([receipts?.[0]?.id, receipts?.[2]?.id], ["a", "c"]);
    const messages = await foreign.messages("WQ_checks");
    assertEquals(messages.length, 5);
    const stored = receipts!.map((receipt) => messages.find(({ sequence }) => sequence === receipt?.sequence)!);
    assertEquals(stored.map(({ body }) => JSON.parse(body)), ["a", "b", "c", "d", "e"]);
    assertEquals(stored.map(({ subject }) => subject.split(".")[2]), ["ready", "ready", "later", "keyed", "ready"]);
    assertEquals([stored[1].headers["Job-Max-Attempts"], stored[1].headers.h], ["3", "v"]);
    for (const receipt of receipts!) assertEquals((await queue.get(receipt!.id))?.id, receipt!.id);
  });

  Deno.test(`JobQueue.publishMany ${how} marks duplicates, in the list and in the queue, and stores the rest`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks");
    await queue.publish("there", { id: "b", delay: 60_000 });
    const receipts = await queue.publishMany([
      { data: 1, id: "a" },
      { data: 2, id: "b" },
      { data: 3, id: "a", priority: "low" },
      { data: 4, id: "c" },
      { data: 5, requestId: "r" },
      { data: 6, requestId: "r" },
    ], { atomic });
    assertEquals(receipts?.map((receipt) => receipt?.duplicate), [false, true, true, false, false, true]);
    assertEquals(receipts?.[0]?.sequence, receipts?.[2]?.sequence);
    assertEquals(receipts?.[1]?.sequence, 1);
    assertEquals(receipts?.[4]?.sequence, receipts?.[5]?.sequence);
    assertEquals((await queue.get("a"))?.data, 1);
    const again = await queue.publishMany([{ data: 7, id: "a" }, { data: 8, id: "c" }], { atomic });
    assertEquals(again?.map((receipt) => receipt?.duplicate), [true, true]);
    const counts = await queue.counts();
    assertEquals([counts?.ready.normal, counts?.ready.low, counts?.delayed], [3, 0, 1]);
  });

  Deno.test(`JobQueue.publishMany ${how} stores nothing if one job is wrong`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks");
    await queue.open();
    const bad = [{ data: 1 }, { data: 2, delay: -1 }, { data: 3 }];
    await assertRejects(() => queue.publishMany(bad, { atomic }), RangeError, "'delay'");
    await assertRejects(() => queue.publishMany([{ data: 1 }, { data: undefined }], { atomic }), TypeError, "'data'");
    assertEquals((await queue.counts())?.ready.normal, 0);
  });

  Deno.test(`JobQueue.publishMany ${how} stores thousands of jobs`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url, { timeout: 30_000 });
    const queue = stores.jobQueue("checks");
    const jobs = Array.from({ length: 3_500 }, (_, index) => ({ data: index, id: `job${index}` }));
    const receipts = await queue.publishMany(jobs, { atomic });
    assertEquals(receipts?.map((receipt) => receipt?.id), jobs.map(({ id }) => id));
    assert(receipts?.every((receipt) => receipt?.duplicate === false));
    assertEquals(new Set(receipts?.map((receipt) => receipt?.sequence)).size, 3_500);
    assertEquals((await queue.counts())?.ready.normal, 3_500);
    for (const index of [0, 999, 1_000, 3_499]) {
      const info = await queue.get(`job${index}`);
      assertEquals(info?.data, index);
    }
  });

  Deno.test(`JobQueue.publishMany ${how} returns no wrong receipt when replies are lost`, async () => {
    await using server = await startNatsServer();
    await using proxy = new Proxy(server.url);
    await using stores = new QueueStores(proxy.url);
    const queue = stores.jobQueue("lossy");
    await queue.publish("there", { id: "job7" });
    let answers = 0;
    proxy.tampering.drop = (_subject, payload) =>
      /"stream":\s*"WQ_|wrong last sequence/.test(payload) && answers++ % 3 === 0;
    const jobs = Array.from({ length: 30 }, (_, index) => ({ data: index, id: `job${index}` }));
    const receipts = await queue.publishMany(jobs, { atomic });
    assert(answers > 0);
    assertEquals(receipts?.flatMap((receipt) => receipt?.duplicate === false ? [] : [receipt?.id]), ["job7"]);
    proxy.tampering.drop = undefined;
    assertEquals((await queue.counts())?.ready.normal, 30);
    for (const receipt of receipts!) {
      assertEquals(
        (await queue.get(receipt!.id))?.data,
        receipt!.id === "job7" ? "there" : Number(receipt!.id.slice(3)),
      );
    }
  });
}

Deno.test("JobQueue.publishMany with atomic leaves whole batches when the server is killed meanwhile", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url, { timeout: 1_000 });
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  const batch = (name: string) => Array.from({ length: 400 }, (_, n) => ({ data: name, id: `${name}-${n}` }));
  let done = 0;
  const batches = Array.from({ length: 40 }, async (_, n) => {
    const receipts = await queue.publishMany(batch(`batch${n}`), { atomic: true });
    done++;
    return receipts;
  });
  await waitUntil(() => done > 3);
  await foreign.connection.close();
  await server.kill();
  const receipts = await Promise.all(batches);
  await server.restart();
  await using after = await ForeignClient.connect(server.url);
  const stored = new Map<string, number>();
  for (const { body } of await after.messages("WQ_checks")) stored.set(body, (stored.get(body) ?? 0) + 1);
  assert([...stored.values()].every((count) => count === 400), `stored: ${[...stored.values()]}`);
  for (const [n, list] of receipts.entries()) {
    assert(list === null || list.every((receipt) => receipt !== null));
    if (list) assertEquals(stored.get(`"batch${n}"`), 400);
  }
});
