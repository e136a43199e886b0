import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobQueue.purge removes all jobs, keeps dead letters, and the queue serves on, also after a restart", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks", { lease: 4_000 });
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns<string>(async ({ data }) => {
    if (data === "dies") throw new Error("no");
    if (data === "runs") await go.promise;
  });
  await using consumer = queue.consume(runs.handler, {
    concurrency: 2,
    prefetch: 0,
    maxAttempts: 1,
    priorities: ["normal"],
  });
  await queue.publish("dies");
  await waitUntil(() => consumer.status().ended.dead === 1);
  await queue.publishMany([{ data: "runs" }, { data: "runs" }]);
  await runs.started(3);
  await queue.publishMany(Array.from({ length: 30 }, (_, n) => ({
    data: "waits",
    ...([{ priority: "high" }, { priority: "low" }, { delay: 60_000 }] as const)[n % 3],
  })));
  assertEquals(await admin.jobQueue("checks").purge(), 32);
  const counts = await admin.jobQueue("checks").counts();
  const { ready, active, delayed, dead, oldest } = counts!;
  assertEquals([ready, active, delayed, dead, oldest], [{ high: 0, normal: 0, low: 0, keyed: 0 }, 0, 0, 1, null]);
  go.resolve();
  await waitUntil(() => consumer.status().active === 0);
  assertEquals(await admin.jobQueue("checks").purge(), 0);
  const publish = (round: number) =>
    queue.publishMany(Array.from({ length: 20 }, (_, n) => ({ data: "new", id: `${round}.${n}` })));
  await publish(1);
  await waitUntil(() => runs.all.length === 23);
  await server.restart();
  await waitUntil(() => consumer.status().state === "serving");
  assert((await publish(2))?.every((receipt) => receipt?.duplicate === false));
  await waitUntil(() => runs.all.length === 43);
  assert(runs.all.slice(3).every(({ data }) => data === "new"));
  await waitUntil(async () => (await queue.counts())?.active === 0);
});

Deno.test("JobQueue.purge counts a job once that was put back while the message before is still there", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const go = Promise.withResolvers<void>();
  await using consumer = queue.consume(() => go.promise, { concurrency: 3, priorities: ["normal"] });
  const receipts = await queue.publishMany(["retried", "given-back", "runs"].map((id) => ({ data: id, id })));
  await waitUntil(() => consumer.status().active === 3);
  await queue.publish("waits", { priority: "low" });
  // What a worker leaves that is killed between the move and the acknowledgement.
  const move = (place: string, id: string, headers: Record<string, string> = {}) =>
    foreign.publish(`wq.checks.${place}.${id}`, "null", {
      "Job-Replaces": `${receipts?.find((receipt) => receipt?.id === id)?.sequence}`,
      ...headers,
    });
  await move("ready.low", "given-back");
  await move("later.normal", "retried", {
    "Nats-Schedule": `@at ${new Date(Date.now() + 60_000).toISOString()}`,
    "Nats-Schedule-Target": "wq.checks.ready.normal.retried",
  });
  assertEquals((await foreign.stream("WQ_checks"))?.state.messages, 6);
  assertEquals(await queue.purge(), 4);
  assertEquals((await foreign.stream("WQ_checks"))?.state.messages, 0);
  go.resolve();
});

Deno.test("JobQueue.purge of a queue that is not there is 0, and makes none", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  assertEquals(await stores.jobQueue("nowhere").purge(), 0);
  assertEquals(await foreign.stream("WQ_nowhere"), undefined);
});
