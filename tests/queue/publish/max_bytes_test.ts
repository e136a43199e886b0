import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { JetStreamStoreError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

const test = testFrom("2.14");

const ACCOUNT = { user: "a", password: "a" };
/** An account that wants the size of each stream. */
const REQUIRED =
  "accounts { A { jetstream: { max_file: 100MB, max_mem: 10MB, max_bytes: true }, users: [{ user: a, password: a }] } }";
const HINT = "give the size as 'maxBytes', an option of buckets and queues, or as SUPERCHECK_NATS_MAX_BYTES";

Deno.test("Every call that creates a stream says how to give a size where the account requires one", async () => {
  await using server = await startNatsServer({ config: REQUIRED });
  await using stores = new QueueStores(server.url, ACCOUNT);
  const calls = [
    () => stores.storeKV("key", "value"),
    () => stores.storeHealthcheck("url", "{}"),
    () => stores.publishJob("checks", 1),
    () => stores.kvBucket("plans").put("key", "value"),
    () => stores.objectBucket("reports").put("name", "data"),
  ];
  for (const call of calls) {
    const error = await assertRejects(async () => void await call(), JetStreamStoreError, HINT);
    assertEquals([error.code, error.serverCode], ["limits", 10113]);
  }
});

Deno.test("SUPERCHECK_NATS_MAX_BYTES sizes all that is created, and an option comes first", async () => {
  await using server = await startNatsServer({ config: REQUIRED });
  const env = (name: string) => name === "SUPERCHECK_NATS_MAX_BYTES" ? "5000000" : undefined;
  await using stores = new QueueStores(server.url, { ...ACCOUNT, env });
  await using foreign = await ForeignClient.connect(server.url, { user: "a", pass: "a" });
  await stores.storeKV("key", "value");
  await stores.storeHealthcheck("url", "{}");
  await stores.kvBucket("plans", { maxBytes: 1_000_000 }).put("key", "value");
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "kept", keepResult: 60_000 });
  await queue.publish(2, { id: "dead", maxAttempts: 1 });
  {
    await using consumer = queue.consume(({ id }) => {
      if (id === "dead") throw new Error("no");
    });
    await waitUntil(() => consumer.status().ended.dead + consumer.status().ended.completed === 2);
  }
  await stores.jobQueue("large", { maxBytes: 7_000_000 }).publish(1);
  const sizes: Record<string, number> = {};
  const { streams } = await foreign.api<{ streams: string[] }>("STREAM.NAMES");
  for (const name of streams) {
    sizes[name] = (await foreign.api<{ config: { max_bytes: number } }>(`STREAM.INFO.${name}`)).config.max_bytes;
  }
  assertEquals(sizes, {
    KV_plans: 1_000_000,
    KV_supercheck_kv: 5_000_000,
    KV_wq_checks: 5_000_000,
    OBJ_supercheck: 5_000_000,
    WQDEAD_checks: 5_000_000,
    WQ_checks: 5_000_000,
    WQ_large: 7_000_000,
  });
});

Deno.test("QueueOptions.maxBytes changes the size of a queue that exists, and -1 lifts it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const sizeOf = async () =>
    (await foreign.api<{ config: { max_bytes: number } }>("STREAM.INFO.WQ_checks")).config.max_bytes;
  await stores.jobQueue("checks").publish(1);
  assertEquals(await sizeOf(), -1);
  await stores.jobQueue("checks", { maxBytes: 1_000_000 }).publish(1);
  assertEquals(await sizeOf(), 1_000_000);
  await stores.jobQueue("checks").publish(1);
  assertEquals(await sizeOf(), 1_000_000);
  await stores.jobQueue("checks", { maxBytes: -1 }).publish(1);
  assertEquals(await sizeOf(), -1);
  for (const maxBytes of [0, 1.5, -2, NaN]) {
    assertThrows(() => stores.jobQueue("checks", { maxBytes }), RangeError, "'maxBytes' must be a whole number");
  }
});

test("Buckets and queues are made with the duplicate window that the server allows", async () => {
  await using server = await startNatsServer({ jetstream: "limits { duplicate_window: 1m10s }" });
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await stores.storeKV("key", "value");
  await stores.publishJob("checks", 1, { keepResult: 1_000 });
  const { config } = await foreign.api<{ config: { duplicate_window: number } }>("STREAM.INFO.KV_supercheck_kv");
  assertEquals(config.duplicate_window, 70e9);
  await assertRejects(
    () => stores.jobQueue("remembered", { dedupe: 120_000 }).publish(1),
    JetStreamStoreError,
    "server limit of 1m10s",
  );
  assertEquals(await stores.jobQueue("remembered").counts(), null);
});
