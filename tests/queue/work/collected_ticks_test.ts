import { assertEquals, assertGreater } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../_plain_client.ts";
import { openStores } from "../_open_stores.ts";

const test = testFrom("2.14");

test("JobQueue.schedule lives on the server, and what it made while no worker was there runs once", async () => {
  await using server = await startNatsServer();
  {
    await using stores = openStores(server.url);
    await stores.jobQueue("checks").schedule("tick", { every: 1_000, data: "tick" });
  }
  await server.restart();
  await using foreign = await ForeignClient.connect(server.url);
  const waiting = async () => (await foreign.messages("WQ_checks", "wq.checks.ready.normal.@tick")).length;
  await waitUntil(async () => await waiting() >= 3);

  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const ran: { id: string; data: unknown; there: number }[] = [];
  await using consumer = queue.consume(async ({ id, data }) => {
    ran.push({ id, data, there: await waiting() });
  });
  await waitUntil(() => ran.length > 0);
  assertEquals([ran[0].id, ran[0].data], ["@tick", "tick"]);
  assertEquals(ran[0].there, 1, "the first to run is the newest");
  assertGreater(consumer.status().ended.skipped, 1);
  const collected = consumer.status().ended.skipped;
  await waitUntil(() => ran.length > 1);
  assertEquals(consumer.status().ended.skipped, collected, "those that come one by one are not skipped");
});
