import { assert, assertEquals } from "@std/assert";
import type { JobConsumer } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

const PRIORITIES = ["high", "normal", "low"];

/** Makes the durable consumers of a queue again with few places for waiting workers, as earlier versions have 512. */
async function narrow(foreign: ForeignClient, queue: string, max_waiting: number): Promise<void> {
  for (const name of PRIORITIES) {
    const { config } = await foreign.api<{ config: object }>(`CONSUMER.INFO.WQ_${queue}.${name}`);
    await foreign.api(`CONSUMER.DELETE.WQ_${queue}.${name}`);
    const call = `CONSUMER.CREATE.WQ_${queue}.${name}.wq.${queue}.ready.${name}.*`;
    await foreign.api(call, { stream_name: `WQ_${queue}`, config: { ...config, max_waiting }, action: "create" });
  }
}

async function placesOf(foreign: ForeignClient, queue: string): Promise<number[]> {
  return await Promise.all(PRIORITIES.map(async (name) => {
    const call = `CONSUMER.INFO.WQ_${queue}.${name}`;
    return (await foreign.api<{ config?: { max_waiting: number } }>(call)).config?.max_waiting ?? 0;
  }));
}

Deno.test("JobConsumer is served also in a fleet of more than 512 idle workers", async () => {
  await using server = await startNatsServer();
  const all = Array.from({ length: 10 }, () => new QueueStores(server.url));
  const running = new Set<number>();
  const go = Promise.withResolvers<void>();
  const workers: JobConsumer[] = [];
  for (let n = 0; n < 600; n++) {
    workers.push(
      all[n % 10].jobQueue("checks").consume(async () => {
        running.add(n);
        await go.promise;
      }),
    );
  }
  await waitUntil(() => workers.every((worker) => worker.status().state === "serving"), 60_000);
  await all[0].jobQueue("checks").publishMany(Array.from({ length: 600 }, (_, data) => ({ data })));
  // Each holds one, so all of them must have been given one.
  await waitUntil(() => running.size === 600, 60_000);
  go.resolve();
  assertEquals(workers.filter((worker) => worker.status().state !== "serving"), []);
  await Promise.all(all.map((stores) => stores.close()));
});

Deno.test("JobConsumer without a place at an older queue says so, and gets one once no job is active; each job runs once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  await queue.limitActive({ normal: 50 });
  await narrow(foreign, "checks", 3);
  const go = Promise.withResolvers<void>();
  const runs = new Map<string, number>();
  const handler = async ({ id }: { id: string }) => {
    runs.set(id, (runs.get(id) ?? 0) + 1);
    if (PRIORITIES.includes(id)) await go.promise;
  };
  // One job of each is active, so nothing can be made again.
  await using holder = queue.consume(handler, { concurrency: 3, prefetch: 0 });
  for (const id of ["high", "normal", "low"] as const) await queue.publish(1, { id, priority: id });
  await waitUntil(() => holder.status().active === 3);
  const workers = Array.from({ length: 5 }, () => queue.consume(handler));
  const full = /^all 3 places of the durable consumer \w+ for waiting workers \(max_waiting\) are taken$/;
  await waitUntil(() => workers.filter((worker) => full.test(worker.status().reason ?? "")).length >= 2, 60_000);
  const ids = (await queue.publishMany(Array.from({ length: 50 }, (_, data) => ({ data })))) ?? [];
  await waitUntil(() => ids.every((receipt) => runs.has(receipt!.id)));
  assertEquals(await placesOf(foreign, "checks"), [3, 3, 3]);
  go.resolve();
  await waitUntil(() => workers.every((worker) => worker.status().state === "serving"), 60_000);
  await queue.publish(1, { id: "last" });
  await waitUntil(() => runs.has("last"));
  await waitUntil(async () => (await placesOf(foreign, "checks"))[1] === 100_000);
  const { config } = await foreign.api<{ config: { max_ack_pending: number } }>("CONSUMER.INFO.WQ_checks.normal");
  assertEquals(config.max_ack_pending, 50);
  assertEquals([...runs].filter(([, count]) => count !== 1), []);
  const lines = stores.log.filter((line) => line.includes("is not served (all 3 places"));
  // Six workers opened the queue twice at most: a second time as the durable consumers were made again.
  assert(lines.length >= 1 && lines.length <= 12, `${lines.length} lines`);
  await Promise.all(workers.map((worker) => worker.stop()));
});

Deno.test("JobConsumer that makes an older durable consumer again loses and repeats no delivery, however many do so at once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  await narrow(foreign, "checks", 2);
  const runs = new Map<string, number>();
  const workers = Array.from({ length: 12 }, () =>
    queue.consume(({ id }) => {
      runs.set(id, (runs.get(id) ?? 0) + 1);
    }));
  let published = 0;
  while ((await placesOf(foreign, "checks")).some((places) => places !== 100_000)) {
    for (const priority of ["high", "normal", "low"] as const) {
      await queue.publish(1, { id: `job${published++}`, priority });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await waitUntil(() => runs.size === published);
  await waitUntil(() => workers.every((worker) => worker.status().state === "serving"), 60_000);
  assertEquals([...runs].filter(([, count]) => count !== 1), []);
  await Promise.all(workers.map((worker) => worker.stop()));
});
