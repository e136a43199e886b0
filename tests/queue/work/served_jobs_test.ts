import { assertEquals, assertThrows } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { openStores } from "../../_support/open_stores.ts";

Deno.test("JobConsumer with priorities serves these only, and keyed jobs where they are among them", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "keyed", key: "k" });
  for (const priority of ["high", "normal", "low"] as const) await queue.publish(1, { id: priority, priority });
  const run = async (priorities: ("high" | "normal" | "low" | "keyed")[] | undefined, ends: number) => {
    const ids: string[] = [];
    await using consumer = queue.consume(({ id }) => void ids.push(id), { priorities });
    await waitUntil(() => consumer.status().ended.completed === ends && consumer.status().state === "serving");
    return ids.sort();
  };
  assertEquals(await run(["high"], 1), ["high"]);
  assertEquals((await queue.counts())?.ready, { high: 0, normal: 1, low: 1, keyed: 1 });
  assertEquals(await run(["keyed"], 1), ["keyed"]);
  assertEquals(await run(["normal", "keyed"], 1), ["normal"]);
  await queue.publish(1, { id: "another", key: "k" });
  assertEquals(await run(undefined, 2), ["another", "low"]);
});

Deno.test("JobConsumer that serves keyed jobs only runs those of a queue that had none before", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(() => {}, { priorities: ["keyed"] });
  await waitUntil(() => consumer.status().state === "serving");
  await queue.publish(1, { key: "k" });
  await waitUntil(() => consumer.status().ended.completed === 1);
});

Deno.test("JobQueue.consume refuses priorities that there are not", async () => {
  await using stores = openStores(undefined);
  assertThrows(
    () => stores.jobQueue("checks").consume(() => {}, { priorities: ["urgent" as "high"] }),
    RangeError,
    `'priorities' must be some of "high", "normal", "low" and "keyed": current value is ["urgent"]`,
  );
});
