import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

const test = testFrom("2.14");

test("JobQueue.schedule lives on the server, and what it made while no worker was there runs once", async () => {
  await using server = await startNatsServer();
  {
    await using stores = openStores(server.url);
    await stores.jobQueue("checks").schedule("tick", { every: 1_000, data: "tick" });
  }
  await server.restart();
  await using foreign = await ForeignClient.connect(server.url, { reconnect: true });
  const waiting = async () =>
    (await foreign.messages("WQ_checks", "wq.checks.ready.normal.@tick")).map(({ sequence }) => sequence);
  await waitUntil(async () => (await waiting()).length >= 3);
  const collected = await waiting();

  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const ran: { id: string; data: unknown; sequence: number }[] = [];
  await using consumer = queue.consume(({ id, data, fence }) => {
    ran.push({ id, data, sequence: Math.floor(fence / 1024) });
  });
  await waitUntil(() => ran.length > 1);
  assertEquals([ran[0].id, ran[0].data], ["@tick", "tick"]);
  const older = collected.slice(0, -1);
  assert(ran[0].sequence >= collected.at(-1)!, "the first to run is the newest");
  await waitUntil(() => consumer.status().ended.skipped >= older.length);
  await waitUntil(async () => !(await waiting()).some((sequence) => older.includes(sequence)));
});
