import { assert, assertEquals, assertMatch } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { startProcess } from "../_start_process.ts";
import { waitUntil } from "../_wait_until.ts";
import { QueueStores } from "./_queue_stores.ts";
import { RecordedRuns } from "./_recorded_runs.ts";

const WORKER = new URL("./_worker.ts", import.meta.url);

/** Starts workers, one after the other, that die of the first job, until it is a dead letter. Returns what they printed of its runs. */
async function sacrifice(stores: QueueStores, url: string): Promise<string[]> {
  const queue = stores.jobQueue("checks");
  const started: string[] = [];
  const dead = async () => (await queue.counts())?.dead === 1;
  while (!await dead()) {
    await using worker = startProcess(WORKER, url, "checks", "dies", '{"maxDeliveries":3}');
    const died = (async () => {
      for (;;) {
        const line = await worker.nextLine();
        if (line !== "serving") return started.push(line);
      }
    })().catch(() => {});
    await Promise.race([died, waitUntil(dead)]);
  }
  return started;
}

Deno.test("A job that kills its workers ends in the dead letters after maxDeliveries, and others go on", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 250 });
  await queue.publish("boom", { id: "poison", priority: "high" });
  const started = await sacrifice(stores, server.url);
  assertEquals(started, ["started poison 1 1", "started poison 1 2", "started poison 1 3"]);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.data], ["poison", "boom"]);
  assertMatch(letter.reason, /handed out 3 times .* kill its workers/);
  assertEquals(await queue.get("poison"), null);
  const runs = new RecordedRuns();
  await queue.publish(1, { id: "harmless" });
  await using _consumer = queue.consume(runs.handler);
  await runs.started(1);
  assertEquals(runs.ids, ["harmless"]);
});

Deno.test("A keyed job that kills its workers ends in the dead letters, and its partition goes on", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 250 });
  await queue.publish("boom", { id: "poison", key: "k" });
  // Its deliveries include those that were only given back, so its starts are counted once these are many.
  const started = await sacrifice(stores, server.url);
  assert(started.length >= 3 && started.length <= 6, `runs: ${started}`);
  assert(started.every((line) => line.startsWith("started poison 1 ")), `runs: ${started}`);
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["poison"]);
  const runs = new RecordedRuns();
  await queue.publish(1, { id: "behind", key: "k" });
  await using _consumer = queue.consume(runs.handler);
  await runs.started(1);
  assertEquals(runs.ids, ["behind"]);
});
