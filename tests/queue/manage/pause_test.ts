import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import type { Job, Priority } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

const ALL_PLACES: { priority?: Priority; key?: string }[] = [
  { priority: "high" },
  { priority: "normal" },
  { priority: "low" },
  { key: "k" },
];

Deno.test("JobQueue.pause stops the whole queue for every worker, and lets active jobs finish", async () => {
  await using server = await startNatsServer();
  await using admin = openStores(server.url);
  const queue = admin.jobQueue("checks");
  await using one = openStores(server.url);
  await using two = openStores(server.url);
  const started: string[] = [];
  const gate = Promise.withResolvers<void>();
  const handler = async ({ id }: Job) => {
    started.push(id);
    if (id.startsWith("early")) await gate.promise;
  };
  await using _one = one.jobQueue("checks").consume(handler, { concurrency: 5 });
  await using _two = two.jobQueue("checks").consume(handler, { concurrency: 5 });
  for (const [index, place] of ALL_PLACES.entries()) await queue.publish(1, { id: `early${index}`, ...place });
  await waitUntil(() => started.length === 4);
  assertEquals(await queue.pause(), true);
  await queue.publishMany(ALL_PLACES.map((place, index) => ({ data: 1, id: `late${index}`, ...place })));
  gate.resolve();
  await waitUntil(async () => (await queue.counts())?.active === 0);
  const counts = await queue.counts();
  assertEquals(counts?.ready, { high: 1, normal: 1, low: 1, keyed: 1 });
  assertEquals(started.length, 4);
  assertEquals(await queue.resume(), true);
  await waitUntil(() => started.length === 8, 5_000);
});

Deno.test("JobQueue.resume takes effect within a second in every worker that waits", async () => {
  await using server = await startNatsServer();
  await using admin = openStores(server.url);
  const queue = admin.jobQueue("checks");
  const gate = Promise.withResolvers<void>();
  let busy = 0;
  await using stack = new AsyncDisposableStack();
  for (let worker = 0; worker < 4; worker++) {
    const stores = stack.use(openStores(server.url));
    stack.use(stores.jobQueue("checks").consume(() => (busy++, gate.promise)));
  }
  await waitUntil(async () => await waitingPulls(queue, server.url) === 4);
  await queue.pause();
  // One for each: a worker that is busy takes no second one.
  await queue.publishMany([1, 2, 3, 4].map((data) => ({ data })));
  await queue.resume();
  await waitUntil(() => busy === 4, 5_000);
  gate.resolve();
});

Deno.test("A pause and a resume by another client take effect within a second", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url, { reconnect: true });
  const queue = stores.jobQueue("checks");
  const started: string[] = [];
  await using _consumer = queue.consume(({ id }) => void started.push(id), { concurrency: 5 });
  await waitUntil(async () => await waitingPulls(queue, server.url) === 1);
  const pause_until = new Date(Date.now() + 3_600_000).toISOString();
  await foreign.request("CONSUMER.PAUSE.WQ_checks.normal", { pause_until });
  await queue.publish(1, { id: "waits" });
  await queue.publish(1, { id: "urgent", priority: "high" });
  await waitUntil(() => started.includes("urgent"));
  assertEquals((await queue.counts())?.ready.normal, 1);
  await foreign.request("CONSUMER.PAUSE.WQ_checks.normal", {});
  await waitUntil(() => started.includes("waits"), 5_000);
});

Deno.test("JobQueue.pause of one priority leaves the others", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.pause(undefined, { priority: "low" });
  const started: (string | Priority)[] = [];
  await using _consumer = queue.consume(({ id }) => void started.push(id));
  await queue.publishMany(ALL_PLACES.map((place) => ({ data: 1, id: place.priority ?? "keyed", ...place })));
  await waitUntil(() => started.length === 3);
  assertEquals(started.toSorted(), ["high", "keyed", "normal"]);
  assertEquals((await queue.counts())?.ready.low, 1);
  await queue.resume({ priority: "high" });
  assertEquals((await queue.counts())?.ready.low, 1);
  await queue.resume({ priority: "low" });
  await waitUntil(() => started.includes("low"), 5_000);
});

Deno.test("JobQueue.pause until a date ends by itself, and outlives a restart of the server", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const started: number[] = [];
  await using _consumer = queue.consume(() => void started.push(Date.now()));
  const until = Date.now() + 2_500;
  await queue.pause(new Date(until));
  await queue.publish(1);
  await server.restart();
  await waitUntil(() => started.length > 0);
  assertGreater(started[0], until - 50);
  assertLess(started[0], until + 10_000);
  await queue.pause(new Date(0));
  await queue.publish(1);
  await waitUntil(() => started.length > 1);
});

Deno.test("JobQueue.pause holds for keys that come into use later", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const started: string[] = [];
  await using _consumer = queue.consume(({ id }) => void started.push(id));
  await queue.pause();
  await queue.publish(1, { id: "keyed", key: "first" });
  await queue.publish(1, { id: "plain" });
  await queue.resume({ priority: "normal" });
  await waitUntil(() => started.length > 0);
  assertEquals(started, ["plain"]);
  await queue.resume();
  await waitUntil(() => started.includes("keyed"), 5_000);
});

Deno.test("JobConsumer leaves no old requests at the server when a queue is paused and resumed again and again", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using others = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { key: "so that there are partitions" });
  let [here, there] = [0, 0];
  const slowly = () => new Promise((resolve) => setTimeout(resolve, 100));
  await using one = queue.consume(() => (here++, slowly()));
  await waitUntil(() => one.status().ended.completed === 1);
  for (let round = 0; round < 5; round++) {
    await queue.pause();
    await queue.resume();
  }
  await using two = others.jobQueue("checks").consume(() => (there++, slowly()));
  await waitUntil(() => two.status().state === "serving");
  await waitUntil(async () => await waitingPulls(queue, server.url) === 2);
  // What one worker alone has asked for too often would run there, one after the other.
  await queue.publishMany(Array.from({ length: 10 }, (_, data) => ({ data })));
  await waitUntil(() => here + there === 11);
  assert(there >= 3, `${there} of 10 jobs ran on the other worker`);
});

Deno.test("JobQueue.pause and resume refuse what is no date, and no priority", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  await assertRejects(() => queue.pause(new Date(NaN)), TypeError, "'until'");
  await assertRejects(() => queue.pause(new Date("+010000-01-01T00:00:00Z")), RangeError, "2262-04-11T23:47:16.854Z");
  await assertRejects(() => queue.pause("2030-01-01" as unknown as Date), TypeError, "'until'");
  await assertRejects(() => queue.pause(undefined, { priority: "urgent" as Priority }), RangeError, "'priority'");
  await assertRejects(() => queue.resume({ priority: "urgent" as Priority }), RangeError, "'priority'");
  assertEquals([await queue.pause(), await queue.resume()], [null, null]);
});

/** Requests of workers that wait for normal jobs. */
async function waitingPulls(queue: { name: string }, url: string): Promise<number> {
  await using foreign = await ForeignClient.connect(url, { reconnect: true });
  const info = await foreign.request<{ num_waiting: number }>(`CONSUMER.INFO.WQ_${queue.name}.normal`).catch(() =>
    null
  );
  return info?.num_waiting ?? -1;
}
