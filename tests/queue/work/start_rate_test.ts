import { assertEquals, assertGreater, assertLess } from "@std/assert";
import type { JobSchema } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { delay } from "../../../src/delay.ts";
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
  await queue.pause();
  const starts: number[][] = [[], []];
  const consumers = [stores, others].map((worker, index) =>
    worker.jobQueue("checks").consume(() => void starts[index].push(performance.now()), { concurrency: 10, rateLimit })
  );
  await waitUntil(() => consumers.every((consumer) => consumer.status().state === "paused"));
  await queue.resume();
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

Deno.test("rateLimit counts a start from when the handler is called, however long its schema takes", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const checked = Promise.withResolvers<void>();
  let checks = 0;
  const validate = async (value: unknown) => {
    checks++;
    await checked.promise;
    return { value: value as number };
  };
  const schema: JobSchema<number> = { "~standard": { validate } };
  const rateLimit = { jobs: 2, interval: 100 };
  const starts: number[] = [];
  await stores.jobQueue<number>("checks").publishMany(Array.from({ length: 6 }, (_, data) => ({ data })));
  await using consumer = stores.jobQueue("checks", { schema }).consume(() => void starts.push(performance.now()), {
    concurrency: 10,
    rateLimit,
  });
  await waitUntil(() => checks === 2);
  await delay(3 * rateLimit.interval);
  // Otherwise these would all start at once.
  assertEquals(checks, 2);
  checked.resolve();
  await waitUntil(() => consumer.status().ended.completed === 6);
  for (let n = 2; n < 6; n++) assertGreater(starts[n] - starts[n - 2], rateLimit.interval / 2, `start ${n}`);
});

Deno.test("rateLimit does not count a job that is not started", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  await queue.publishMany(Array.from({ length: 5 }, (_, data) => ({ data, ttl: 1 })));
  await queue.publish(5);
  await delay(50);
  const started: number[] = [];
  await using consumer = queue.consume(({ data }) => void started.push(data), {
    rateLimit: { jobs: 1, interval: 600_000 },
  });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals([started, consumer.status().ended.expired], [[5], 5]);
});
