import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

Deno.test("JobQueue.limitActive and a new lease that are set at the same time do not undo each other", async () => {
  await using server = await startNatsServer();
  await using limiter = openStores(server.url);
  await using leaser = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await limiter.jobQueue("checks").open();
  for (let round = 1; round <= 40; round++) {
    await Promise.all([
      limiter.jobQueue("checks").limitActive({ high: round, normal: round, low: round }),
      leaser.jobQueue("checks", { lease: 10_000 + round }).open(),
    ]);
    for (const name of ["high", "normal", "low"]) {
      const { config } = await foreign.request<{ config: { max_ack_pending: number; ack_wait: number } }>(
        `CONSUMER.INFO.WQ_checks.${name}`,
      );
      assertEquals([name, config.max_ack_pending, config.ack_wait], [name, round, (10_000 + round) * 1e6]);
    }
  }
});
