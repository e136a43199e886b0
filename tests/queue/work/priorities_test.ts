import { assert, assertEquals, assertGreater } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

/** The places at which the runs of a priority began. */
const places = (ids: string[], priority: string) => ids.flatMap((id, at) => id.startsWith(priority) ? [at] : []);
const mean = (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;

Deno.test("JobConsumer takes high before normal before low, but lets none starve", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const jobs = (["low", "normal", "high"] as const).flatMap((priority) =>
    Array.from({ length: 100 }, (_, n) => ({ data: n, id: `${priority}${n}`, priority }))
  );
  await queue.publishMany(jobs);
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler, { prefetch: 0 });
  await waitUntil(() => consumer.status().ended.completed === 300);
  const [high, normal, low] = ["high", "normal", "low"].map((priority) => places(runs.ids, priority));
  assert(mean(high) < mean(normal) && mean(normal) < mean(low), `means ${mean(high)} ${mean(normal)} ${mean(low)}`);
  const first = runs.ids.slice(0, 100);
  assertGreater(places(first, "high").length, 60);
  assertGreater(places(first, "normal").length, 5);
  assertGreater(places(first, "low").length, 1);
  // Within a priority, in the order of the publishes.
  assertEquals(runs.ids.filter((id) => id.startsWith("high")), Array.from({ length: 100 }, (_, n) => `high${n}`));
});

Deno.test("JobConsumer runs every low job under a steady stream of high ones", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using producer = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 20 }, (_, n) => ({ data: n, id: `low${n}`, priority: "low" as const })));
  let open = true;
  let published = 0;
  const runs = new RecordedRuns(() => new Promise((resolve) => setTimeout(resolve, 1)));
  const stream = (async () => {
    while (open) {
      // Always more of them than can be run.
      if (published - runs.all.length < 100) {
        await producer.jobQueue("checks").publishMany(
          Array.from({ length: 50 }, () => ({ data: 0, id: `high${published++}`, priority: "high" as const })),
        );
      } else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  await waitUntil(async () => ((await queue.counts())?.ready.high ?? 0) >= 100);
  await using _consumer = queue.consume(runs.handler, { concurrency: 2 });
  await waitUntil(() => places(runs.ids, "low").length === 20);
  open = false;
  await stream;
  assertGreater(places(runs.ids, "high").length, 60);
});

Deno.test("JobConsumer serves the given priorities, the most urgent first in whatever order they are named", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  for (let n = 0; n < 5; n++) {
    for (const priority of ["high", "normal", "low"] as const) {
      await queue.publish(n, { id: `${priority}${n}`, priority });
    }
  }
  const runs = new RecordedRuns();
  {
    await using consumer = queue.consume(runs.handler, { priorities: ["low", "high"] });
    await waitUntil(() => consumer.status().ended.completed === 10);
  }
  assertEquals(runs.ids.slice(0, 5).every((id) => id.startsWith("high")), true, runs.ids.join());
  const counts = await queue.counts();
  assertEquals(counts?.ready, { high: 0, normal: 5, low: 0, keyed: 0 });
  await using consumer = queue.consume(runs.handler, { priorities: ["normal"] });
  await waitUntil(() => consumer.status().ended.completed === 5);
  assertEquals(runs.all.length, 15);
});

Deno.test("Job.priority is the priority, also of a retry", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const seen: string[] = [];
  await using consumer = queue.consume((job) => {
    seen.push(`${job.id} ${job.priority} ${job.attempt}`);
    if (job.attempt === 1) throw new Error("once more");
  }, { backoff: 0 });
  for (const priority of ["high", "normal", "low"] as const) await queue.publish(1, { id: priority[0], priority });
  await waitUntil(() => consumer.status().ended.completed === 3);
  assertEquals(seen.toSorted(), ["h high 1", "h high 2", "l low 1", "l low 2", "n normal 1", "n normal 2"]);
});
