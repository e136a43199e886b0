import { assertEquals, assertGreater } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_wait_until.ts";
import { openStores } from "./_open_stores.ts";

Deno.test("JobConsumer runs a schedule whose handler is slower than its interval never twice at once", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const active = new Map<string, number>();
  const runs: string[] = [];
  let together = 0;
  const handler = async ({ data }: { data: string }) => {
    active.set(data, (active.get(data) ?? 0) + 1);
    assertEquals(active.get(data), 1, `${data} runs twice at once`);
    together = Math.max(together, [...active.values()].filter((count) => count > 0).length);
    runs.push(data);
    await new Promise((resolve) => setTimeout(resolve, data === "slow" ? 2_300 : 50));
    active.set(data, active.get(data)! - 1);
  };
  await using consumer = queue.consume(handler, { concurrency: 5, maxAttempts: 1 });
  await queue.schedule("slow", { every: 1_000, data: "slow" });
  await queue.schedule("quick", { every: 1_000, data: "quick" });
  await waitUntil(() => runs.filter((data) => data === "slow").length === 2);
  await queue.unschedule("slow");
  await queue.unschedule("quick");
  await waitUntil(async () => (await queue.counts())?.active === 0);
  assertEquals(consumer.status().ended.dead, 0, "no run met another");
  assertEquals(together, 2, "other schedules run meanwhile");
  assertGreater(runs.filter((data) => data === "quick").length, 2, "one that waits holds up no other");
  assertEquals((await queue.counts())?.ready.normal, 0);
});

Deno.test("JobConsumer tries a failing tick again, buries it, and the schedule goes on", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const attempts: number[] = [];
  let broken = true;
  const handler = ({ attempt }: { attempt: number }) => {
    attempts.push(attempt);
    if (broken) throw new Error("broken");
  };
  await using consumer = queue.consume(handler, { maxAttempts: 2, backoff: 10 });
  await queue.schedule("tick", { every: 2_000, data: null });
  await waitUntil(() => consumer.status().ended.dead === 1);
  broken = false;
  assertEquals(attempts, [1, 2]);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.reason, letter.attempts], ["@tick", "broken", 2]);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(attempts, [1, 2, 1]);
});
