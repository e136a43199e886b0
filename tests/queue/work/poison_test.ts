import { assert, assertEquals, assertMatch } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { startProcess } from "../../_support/start_process.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const WORKER = new URL("../_worker.ts", import.meta.url);

/** Starts workers, one after the other, that die of the first job, until it is a dead letter. Returns what they printed of its runs. */
async function sacrifice(stores: QueueStores, url: string): Promise<string[]> {
  const queue = stores.jobQueue("checks");
  const started: string[] = [];
  const dead = async () => (await queue.counts())?.dead === 1;
  while (!await dead() && started.length < 12) {
    await using worker = startProcess(WORKER, url, "checks", "dies", '{"maxDeliveries":3}');
    const died = (async () => {
      for (;;) {
        const line = await worker.nextLine();
        if (line !== "serving") return started.push(line);
      }
    })().catch(() => {});
    let over = false;
    const buried = waitUntil(async () => over || await dead());
    await Promise.race([died, buried]);
    over = true;
    await buried;
  }
  return started;
}

/** Checks that it was started three times, as its first attempt; on a busy machine a delivery can end before its start. */
function assertStarts(started: string[]): void {
  assertEquals(started.map((line) => line.replace(/ \d+$/, "")), Array(3).fill("started poison 1"));
}

Deno.test("A job that kills its workers ends in the dead letters after maxDeliveries, and others run", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 4_000 });
  await queue.publish("boom", { id: "poison", priority: "high" });
  const started = await sacrifice(stores, server.url);
  assertStarts(started);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.data], ["poison", "boom"]);
  assertMatch(letter.reason, /started repeatedly .*\(maxDeliveries: 3\): it seems to kill its workers/);
  const runs = new RecordedRuns();
  await queue.publish(1, { id: "harmless" });
  await using _consumer = queue.consume(runs.handler, { maxDeliveries: 3 });
  // The worker that buried it may have been killed before it could remove it.
  await waitUntil(async () => await queue.get("poison") === null);
  await runs.started(1);
  assertEquals(runs.ids, ["harmless"]);
});

Deno.test("A keyed job that kills its workers ends in the dead letters, and its partition is served", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 4_000 });
  await queue.publish("boom", { id: "poison", key: "k" });
  const started = await sacrifice(stores, server.url);
  assertStarts(started);
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["poison"]);
  const runs = new RecordedRuns();
  await queue.publish(1, { id: "behind", key: "k" });
  await using _consumer = queue.consume(runs.handler, { maxDeliveries: 3 });
  await runs.started(1);
  assertEquals(runs.ids, ["behind"]);
});

Deno.test("A job that cannot be moved and kills its workers ends in the dead letters, too", async () => {
  await using server = await startNatsServer({ config: "max_payload: 65536" });
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 4_000 });
  await queue.open();
  // A copy of it would have no room for its headers.
  const data = "x".repeat(65_536 - 2);
  await foreign.publish("wq.checks.ready.normal.poison", JSON.stringify(data));
  const started = await sacrifice(stores, server.url);
  assertStarts(started);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.data], ["poison", data]);
});

Deno.test("A job that cannot be moved counts only runs that ended as attempts", async () => {
  await using server = await startNatsServer({ config: "max_payload: 65536" });
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 3_000 });
  await queue.open();
  await foreign.publish("wq.checks.ready.normal.large", JSON.stringify("x".repeat(65_536 - 2)));
  const runs = new RecordedRuns(({ attempt }) => {
    if (attempt < 3) throw new Error("no");
  });
  for (let abandoned = 0; abandoned < 2; abandoned++) {
    const consumer = queue.consume(() => new Promise(() => {}));
    await waitUntil(() => consumer.status().active === 1);
    await consumer.stop({ deadline: 1 });
  }
  await using consumer = queue.consume(runs.handler, { backoff: 1, maxAttempts: 3 });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ attempt }) => attempt), [1, 2, 3]);
  assert(runs.all[0].deliveries >= 3);
});
