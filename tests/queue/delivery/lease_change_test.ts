import { assert, assertEquals, assertLess } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const PRIORITIES = ["high", "normal", "low"];
const PARTITIONS = Array.from({ length: 16 }, (_, n) => `k${n}`);

/** What stands in the way of a durable consumer: when the server hands its jobs out again, and what must not change with that. */
async function consumers(foreign: ForeignClient): Promise<{ ackWaits: number[]; rest: unknown[] }> {
  const ackWaits: number[] = [];
  const rest: unknown[] = [];
  for (const name of [...PRIORITIES, ...PARTITIONS]) {
    const { config } = await foreign.api<{ config: { ack_wait: number } }>(`CONSUMER.INFO.WQ_checks.${name}`);
    const { ack_wait, ...others } = config;
    ackWaits.push(ack_wait / 1e6);
    rest.push(others);
  }
  return { ackWaits, rest };
}

Deno.test("JobQueue.publish with a lease changes it for all durable consumers, and nothing else, and announces it to the workers", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 1_000 });
  await queue.publish(1, { key: "k" });
  await queue.pause(undefined, { priority: "low" });
  await queue.limitActive({ high: 3 });
  await queue.pause(undefined, { priority: "high" });
  const before = await consumers(foreign);
  assert(before.ackWaits.every((ms) => ms === 1_000));
  const told: string[] = [];
  foreign.connection.subscribe("wqevt.checks.changed", { callback: (_, { subject }) => void told.push(subject) });
  foreign.connection.subscribe("$JS.API.CONSUMER.CREATE.>", { callback: (_, { subject }) => void told.push(subject) });
  await foreign.connection.flush();
  await others.jobQueue("checks", { lease: 30_000 }).publish(2);
  const after = await consumers(foreign);
  assert(after.ackWaits.every((ms) => ms === 30_000));
  assertEquals(after.rest, before.rest);
  assertEquals(told.length, 20);
  assertEquals(told.at(-1), "wqevt.checks.changed");
  await others.jobQueue("checks", { lease: 30_000 }).publish(3);
  await others.jobQueue("checks").publish(4);
  await foreign.connection.flush();
  assertEquals(told.length, 20);
  const logged = others.log.filter((line) => line.includes("settings"));
  assertEquals(logged, ["The settings of queue checks change: supercheck-lease"]);
});

Deno.test("A job that outlasts the queue's former lease runs once, whoever changed it, with a key and without", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await stores.jobQueue("checks", { lease: 300 }).publish("first", { key: "k" });
  await stores.jobQueue("checks").open();
  await others.jobQueue("checks", { lease: 60_000 }).publish("second");
  const runs = new RecordedRuns(() => new Promise((resolve) => setTimeout(resolve, 1_500)));
  await using one = stores.jobQueue("checks").consume(runs.handler, { concurrency: 4 });
  await using two = others.jobQueue("checks").consume(runs.handler, { concurrency: 4 });
  await waitUntil(() => one.status().ended.completed + two.status().ended.completed === 2);
  assertEquals(runs.all.map(({ deliveries }) => deliveries), [1, 1]);
});

Deno.test("Keyed jobs run of a queue that others have made again", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(0, { key: "k" });
  await admin.jobQueue("checks").destroy();
  await admin.jobQueue("checks").publish("not keyed");
  const runs = new RecordedRuns();
  await using _consumer = admin.jobQueue("checks").consume(runs.handler);
  const published: string[] = [];
  const keyed = () => runs.ids.filter((id) => id.startsWith("keyed"));
  while (keyed().length === 0) {
    const id = `keyed${published.length}`;
    await queue.publish(1, { key: "k", id });
    published.push(id);
    assertLess(published.length, 5_000);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // What was published before anybody noticed runs, too.
  await waitUntil(() => keyed().length >= published.length);
  assertEquals(keyed(), published);
});
