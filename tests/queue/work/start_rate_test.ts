import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { openStores } from "../../_support/open_stores.ts";

Deno.test("rateLimit holds over many intervals, for each worker by itself, over all kinds of jobs", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using others = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const rateLimit = { jobs: 4, interval: 200 };
  const places = [{ priority: "high" }, {}, { priority: "low" }, { key: "a" }, { key: "b" }] as const;
  await queue.publishMany(Array.from({ length: 50 }, (_, n) => ({ data: n, ...places[n % 5] })));
  const starts: number[][] = [[], []];
  const consumers = [stores, others].map((worker, index) =>
    worker.jobQueue("checks").consume(() => void starts[index].push(performance.now()), { concurrency: 10, rateLimit })
  );
  await waitUntil(() => starts[0].length + starts[1].length === 50);
  for (const times of starts) {
    assertGreater(times.length, 15, "both work");
    for (let n = rateLimit.jobs; n < times.length; n++) {
      // On a busy machine the handler reads its clock some time after the start was counted.
      assertGreater(times[n] - times[n - rateLimit.jobs], rateLimit.interval / 2, `starts up to ${n}`);
    }
  }
  const took = Math.max(...starts.flat()) - Math.min(...starts.flat());
  assertLess(took, 10_000, "50 jobs at 40 a second");
  await Promise.all(consumers.map((consumer) => consumer.stop()));
  assertEquals(consumers.map((consumer) => consumer.status().ended.retried), [0, 0]);
});
