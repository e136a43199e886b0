import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

Deno.test("JobQueue.destroy and purge refuse a stream of others that only has a queue's name", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await foreign.api("STREAM.CREATE.WQ_orders", { name: "WQ_orders", subjects: ["orders.>", "wq.orders.a.b.*"] });
  await foreign.publish("wq.orders.a.b.c", "theirs");
  const queue = stores.jobQueue("orders");
  for (const call of [() => queue.destroy(), () => queue.purge(), () => queue.publish(1)]) {
    const error = await assertRejects(async () => void await call(), JetStreamStoreError, "The stream WQ_orders");
    assertEquals(error.code, "wrong_kind");
  }
  assertEquals((await foreign.api<{ state: { messages: number } }>("STREAM.INFO.WQ_orders")).state.messages, 1);
});

Deno.test("JobQueue.destroy leaves a user's bucket and stream that have the names of its results and dead letters", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const settings = stores.kvBucket("wq_settings");
  await settings.put("theme", "dark");
  // As short-lived as results are, and with keys like theirs.
  const daily = stores.kvBucket("wq_daily", { ttl: 86_400_000 });
  await daily.put("a.result", "1");
  await daily.put("theme", "dark");
  await foreign.api("STREAM.CREATE.WQDEAD_settings", { name: "WQDEAD_settings", subjects: ["wqdead.settings.>"] });
  assertEquals(await stores.jobQueue("settings").destroy(), false);
  assertEquals(await stores.jobQueue("daily").destroy(), false);
  await stores.jobQueue("settings").publish(1);
  assertEquals(await stores.jobQueue("settings").destroy(), true);
  assertEquals((await settings.get("theme"))?.text(), "dark");
  assertEquals((await daily.get("theme"))?.text(), "dark");
  assertEquals((await foreign.api<{ streams: string[] }>("STREAM.NAMES")).streams.includes("WQDEAD_settings"), true);
});

Deno.test("JobQueue.result takes nothing from a user's bucket that has the name of its results", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await stores.kvBucket("wq_settings").put("theme.result", '"dark"');
  assertEquals(await stores.jobQueue("settings").result("theme"), null);
  await stores.jobQueue("checks").publish(1, { id: "a", keepResult: 60_000 });
  await using consumer = stores.jobQueue("checks").consume(() => "done");
  assertEquals(await stores.jobQueue("checks").waitFor("a", { timeout: 20_000 }), "done");
  await consumer.stop();
  assertEquals(await stores.jobQueue("checks").result("a"), { value: "done" });
});

Deno.test("JobQueue.destroy removes what an earlier version made, which has no label", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "kept", keepResult: 60_000 });
  await queue.publish(2, { id: "dead", maxAttempts: 1 });
  {
    await using _consumer = queue.consume(({ id }) => {
      if (id === "dead") throw new Error("no");
    });
    await queue.waitFor("kept", { timeout: 20_000 });
    await queue.waitFor("dead", { timeout: 20_000 }).catch(() => {});
  }
  for (const stream of ["WQ_checks", "WQDEAD_checks", "KV_wq_checks"]) {
    const { config } = await foreign.api<{ config: { metadata: Record<string, string> } }>(`STREAM.INFO.${stream}`);
    assertEquals(config.metadata["supercheck-queue"], "checks");
    await foreign.update(stream, { metadata: {} });
  }
  assertEquals(await stores.jobQueue("checks").destroy(), true);
  assertEquals((await foreign.api<{ streams: string[] | null }>("STREAM.NAMES")).streams, null);
});

Deno.test("KvBucket.destroy and ObjectBucket.destroy leave a stream that has other subjects, too", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  for (
    const [stream, bucket] of [["KV_plans", stores.kvBucket("plans")], [
      "OBJ_plans",
      stores.objectBucket("plans"),
    ]] as const
  ) {
    await bucket.put("a", "b");
    const { config } = await foreign.api<{ config: { subjects: string[] } }>(`STREAM.INFO.${stream}`);
    await foreign.update(stream, { subjects: [...config.subjects, `${stream}.orders`] });
    await assertRejects(
      async () => void await bucket.destroy(),
      JetStreamStoreError,
      "has subjects beside the bucket's",
    );
    assertEquals((await foreign.api<{ error?: unknown }>(`STREAM.INFO.${stream}`)).error, undefined);
  }
});
