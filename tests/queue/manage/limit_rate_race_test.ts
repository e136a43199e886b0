import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

Deno.test("JobQueue.limitRate that is set and lifted by several at the same time leaves the permits of the limit in force", async () => {
  await using server = await startNatsServer();
  await using foreign = await ForeignClient.connect(server.url);
  await using stack = new AsyncDisposableStack();
  const queues = [1, 2, 3].map(() => stack.use(new QueueStores(server.url)).jobQueue("checks"));
  await queues[0].limitRate({ jobs: 1, interval: 1_000 });
  for (let round = 1; round <= 40; round++) {
    const rates = [{ jobs: round, interval: 1_000 }, { jobs: 100 - round, interval: 2_000 }, null];
    const done = await Promise.all(queues.map((queue, i) => queue.limitRate(rates[(i + round) % 3])));
    assertEquals(done, [true, true, true]);
    const rate = (await queues[0].counts())!.rateLimit;
    if (!rate) continue;
    assertEquals((await foreign.stream("WQRATE_checks"))?.state.messages, rate.jobs, `round ${round}`);
    const { config } = await foreign.request<{ config: { ack_wait: number } }>("CONSUMER.INFO.WQRATE_checks.permits");
    assertEquals(Math.round(config.ack_wait / 1e9) * 1_000, rate.interval, `round ${round}`);
  }
});
