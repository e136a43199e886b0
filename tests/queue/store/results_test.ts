import { Kvm } from "@nats-io/kv";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Job } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

Deno.test("JobQueue.result is what the handler returned, for jobs with keepResult only", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const values = [{ deep: ["ü", null] }, null, 0, "", false, []];
  await using consumer = worker.jobQueue<number>("checks").consume((job) => values[job.data], { concurrency: 10 });
  await queue.publishMany(values.map((_, data) => ({ data, id: `value ${data}`, keepResult: 60_000 })));
  await queue.publish(0, { id: "not asked for" });
  await waitUntil(() => consumer.status().ended.completed === values.length + 1);
  for (const [index, value] of values.entries()) {
    assertEquals(await queue.result(`value ${index}`), { value });
  }
  assertEquals(await queue.result("not asked for"), null);
  assertEquals(await queue.result("never was"), null);
});

Deno.test("JobQueue.result is null for what JSON cannot say, and the job is done", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(({ id }) => id === "function" ? () => {} : undefined);
  await queue.publish(1, { id: "nothing", keepResult: 60_000 });
  await queue.publish(1, { id: "function", keepResult: 60_000 });
  await waitUntil(() => consumer.status().ended.completed === 2);
  assertEquals(await queue.result("nothing"), { value: null });
  assertEquals(await queue.result("function"), { value: null });
});

Deno.test("JobConsumer completes a job once also if its result is no JSON value, or too large", async () => {
  await using server = await startNatsServer({ config: "max_payload: 65536" });
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const ran: string[] = [];
  const results: Record<string, unknown> = { bigint: 1n, large: "x".repeat(70_000), fine: "fine" };
  const handler = ({ id, attempt }: Job) => {
    ran.push(`${id} ${attempt}`);
    return results[id];
  };
  const told: Record<string, string | undefined> = {};
  const listening = new AbortController();
  const events = (async () => {
    for await (const event of queue.events({ signal: listening.signal })) {
      if (event.type === "completed") told[event.id] = event.reason;
    }
  })();
  await using consumer = queue.consume(handler, { maxAttempts: 2, backoff: 0 });
  await queue.publishMany(Object.keys(results).map((id) => ({ data: id, id, keepResult: 60_000 })));
  await waitUntil(() => consumer.status().ended.completed === 3);
  assertEquals(ran.toSorted(), ["bigint 1", "fine 1", "large 1"]);
  assertEquals(await queue.result("fine"), { value: "fine" });
  for (const id of ["bigint", "large"]) {
    assertEquals(await queue.result(id), { value: undefined });
    assertEquals(await queue.waitFor(id, { timeout: 5_000 }), undefined);
  }
  assertEquals(await Array.fromAsync(queue.deadLetters()), []);
  await waitUntil(() => told.bigint !== undefined && told.large !== undefined);
  listening.abort();
  await events;
  assertStringIncludes(told.bigint!, "BigInt");
  assertStringIncludes(told.large!, "max_payload");
});

Deno.test("JobQueue.result is gone when keepResult is over", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await using _consumer = queue.consume(() => "short-lived");
  await queue.publish(1, { id: "short", keepResult: 5_000 });
  await queue.publish(1, { id: "long", keepResult: 60_000 });
  await waitUntil(async () => await queue.result("short") !== null);
  const kept = performance.now();
  await waitUntil(async () => await queue.result("short") === null);
  // Whole seconds are what the server knows.
  assertEquals(performance.now() - kept > 500, true);
  assertEquals(await queue.result("long"), { value: "short-lived" });
});

Deno.test("A result can be read by any KV client from the bucket of the queue", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await using _consumer = queue.consume(async (job) => {
    await job.progress(50);
    return { status: 200 };
  });
  await queue.publish(1, { id: "https://a.b/c", keepResult: 60_000 });
  await waitUntil(async () => await queue.result("https://a.b/c") !== null);
  const bucket = await new Kvm(foreign.connection).open("wq_checks");
  const keys = (await Array.fromAsync(await bucket.keys())).toSorted();
  const [progress, result] = keys;
  assertEquals(keys.length, 2);
  assertEquals(result.endsWith(".result") && progress.endsWith(".progress"), true);
  assertEquals((await bucket.get(result))?.json(), { status: 200 });
  assertEquals((await bucket.get(progress))?.json(), 50);
  assertEquals((await bucket.status()).ttl, 86_400_000);
  await bucket.delete(result);
  assertEquals(await queue.result("https://a.b/c"), null);
});

Deno.test("JobConsumer keeps results also in a bucket that was made without times to live", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await using foreign = await ForeignClient.connect(server.url);
  // As it was made over a server older than 2.11.
  await foreign.request("STREAM.CREATE.KV_wq_checks", {
    name: "KV_wq_checks",
    subjects: ["$KV.wq_checks.>"],
    discard: "new",
    max_msgs_per_subject: 1,
    max_age: 86_400e9,
    allow_direct: true,
    allow_rollup_hdrs: true,
    deny_delete: true,
  });
  await foreign.publish("$KV.wq_checks.old.result", '"stays"');
  await using consumer = queue.consume(() => "value");
  await queue.publish(1, { id: "a", keepResult: 60_000 });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(await queue.result("a"), { value: "value" });
  assertEquals(await queue.result("old"), { value: "stays" });
});

Deno.test("JobConsumer keeps results again after their bucket was removed", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await using _consumer = queue.consume(() => "value");
  await queue.publish(1, { id: "before", keepResult: 60_000 });
  await waitUntil(async () => await queue.result("before") !== null);
  await foreign.request("STREAM.DELETE.KV_wq_checks");
  assertEquals(await queue.result("before"), null);
  await queue.publish(1, { id: "after", keepResult: 60_000 });
  await waitUntil(async () => await queue.result("after") !== null);
});

Deno.test("JobQueue.result refuses what is no id, and is null without a connection", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  await assertRejects(() => queue.result(""), TypeError, "'id'");
  assertEquals(await queue.result("a"), null);
});
