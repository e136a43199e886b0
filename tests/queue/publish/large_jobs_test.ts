/** What workers ask for at the same time must never be more than the server lets wait for one client (64 MiB): it would hang up. */
import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { openStores } from "../../_support/open_stores.ts";
import { waitUntil } from "../../_support/wait_until.ts";

const LARGE = "x".repeat(900_000);

Deno.test("a worker of many large jobs at once runs each once, and costs no connection", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("q");
  for (let i = 0; i < 160; i++) await queue.publish(LARGE, { id: `j${i}` });
  const runs = new Map<string, number>();
  const { promise: all, resolve: allRun } = Promise.withResolvers<void>();
  await using worker = queue.consume(async (job) => {
    runs.set(job.id, (runs.get(job.id) ?? 0) + 1);
    if (runs.size === 160) allRun();
    await all;
  }, { concurrency: 200 });
  await waitUntil(() => worker.status().ended.completed === 160, 60_000);
  assertEquals([...new Set(runs.values())], [1]);
  assertEquals(stores.connectionCounters().disconnects, 0);
  assertEquals(await stores.kvBucket("b").put("k", "v"), 1);
});

Deno.test("a waiting worker runs jobs that are larger than what may come unasked, with and without a key and a limit", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("q");
  await queue.publish("first", { key: "k" });
  const runs: string[] = [];
  await using worker = queue.consume((job) => void runs.push(job.id), { concurrency: 100 });
  await waitUntil(() => worker.status().state === "serving" && runs.length === 1);
  const publish = (id: string, options: object) => queue.publish(LARGE, { id, ...options });
  const ids = ["a", "b", "c", "d", "e", "f"];
  await Promise.all(ids.map((id, i) => publish(id, i % 2 === 0 ? { key: "k" } : {})));
  await waitUntil(() => runs.length === 1 + ids.length);
  await queue.limitActive({ normal: 1 });
  await publish("limited1", {});
  await publish("limited2", {});
  await waitUntil(() => runs.length === 3 + ids.length);
  assertEquals(runs.slice(1, 7).toSorted(), ids);
  assertEquals(stores.connectionCounters().disconnects, 0);
});
