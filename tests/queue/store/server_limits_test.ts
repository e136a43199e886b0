import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

const test = testFrom("2.14");

const ATOMIC = { atomic: true };

function jobs(count: number): { data: number; id: string }[] {
  return Array.from({ length: count }, (_, data) => ({ data, id: `job${data}` }));
}

for (const limit of [100, 1]) {
  Deno.test(`JobConsumer runs all jobs where the operator limits pull requests to ${limit} jobs`, async () => {
    await using server = await startNatsServer({ jetstream: `limits { max_request_batch: ${limit} }` });
    await using stores = openStores(server.url);
    const queue = stores.jobQueue("checks");
    await queue.publishMany(jobs(1_000));
    await using consumer = queue.consume(() => {}, { concurrency: 300 });
    await waitUntil(() => consumer.status().ended.completed === 1_000);
    assertEquals([consumer.status().state, consumer.status().reason], ["serving", null]);
  });
}

Deno.test("JobConsumer asks for less where a limit of pull requests is set while it works", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(() => {}, { concurrency: 300 });
  await waitUntil(() => consumer.status().state === "serving");
  const { config } = await foreign.request<{ config: object }>("CONSUMER.INFO.WQ_checks.normal");
  await foreign.request("CONSUMER.CREATE.WQ_checks.normal.wq.checks.ready.normal.*", {
    stream_name: "WQ_checks",
    config: { ...config, max_batch: 7, max_expires: 2e9 },
    action: "update",
  });
  await queue.publishMany(jobs(1_000));
  await waitUntil(() => consumer.status().ended.completed === 1_000);
  assertEquals([consumer.status().state, consumer.status().reason], ["serving", null]);
});

Deno.test("JobQueue.publishMany with atomic makes batches of the size that the operator allows", async () => {
  await using server = await startNatsServer({ jetstream: "limits { batch { max_msgs: 30 } }" });
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const receipts = await queue.publishMany(jobs(1_234), ATOMIC);
  assertEquals(receipts?.map((receipt) => receipt?.duplicate), Array(1_234).fill(false));
  const sequences = receipts!.map((receipt) => receipt!.sequence);
  assertEquals(sequences.slice(0, 30), sequences.slice(0, 30).map((_, n) => sequences[0] + n));
  assertEquals((await queue.counts())?.ready.normal, 1_234);
});

test("JobQueue.publishMany with atomic waits where the operator allows few batches at the same time", async () => {
  await using server = await startNatsServer({
    jetstream: "limits { batch { max_inflight_per_stream: 1, max_inflight_total: 1 } }",
  });
  const all = Array.from({ length: 4 }, () => openStores(server.url, { timeout: 30_000 }));
  await all[0].jobQueue("checks").open();
  const calls = all.map((stores, n) => {
    const own = jobs(2_500).map(({ data, id }) => ({ data, id: `${n}-${id}` }));
    return stores.jobQueue("checks").publishMany(own, ATOMIC);
  });
  const receipts = (await Promise.all(calls)).flat();
  assert(receipts.every((receipt) => receipt?.duplicate === false));
  assertEquals((await all[0].jobQueue("checks").counts())?.ready.normal, 10_000);
  await Promise.all(all.map((stores) => stores.close()));
});

test("JobQueue.limitActive says which limit of the operator is lower", async () => {
  await using server = await startNatsServer({ jetstream: "limits { max_ack_pending: 10 }" });
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(jobs(50));
  const error = await assertRejects(() => queue.limitActive({ normal: 20 }), JetStreamStoreError, "system limit of 10");
  assertEquals(error.code, "limits");
  assertEquals(await queue.limitActive({ normal: 5 }), true);
  await using consumer = queue.consume(() => {}, { concurrency: 20 });
  await waitUntil(() => consumer.status().ended.completed === 50);
});
