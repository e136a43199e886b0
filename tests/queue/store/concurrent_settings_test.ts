import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { Proxy } from "../../_support/proxy.ts";
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

for (const rate of [{ jobs: 7, interval: 1_000 }, null]) {
  const what = rate ? "sets a limit" : "lifts the limit";
  Deno.test(`JobQueue.limitRate ${what} though a client writes back all settings, as it has read them before, at the same time`, async () => {
    await using server = await startNatsServer();
    await using proxy = new Proxy(server.url);
    await using stores = openStores(proxy.url);
    await using foreign = await ForeignClient.connect(server.url);
    const queue = stores.jobQueue("checks");
    assertEquals(await queue.limitRate({ jobs: 5, interval: 1_000 }), true);
    const { config: before } = await foreign.request<{ config: object }>("STREAM.INFO.WQ_checks");
    let isUpdated = false;
    let writing: Promise<unknown> | undefined;
    let isWritten = false;
    proxy.tampering.lose = (subject) => {
      isUpdated ||= subject.endsWith("STREAM.UPDATE.WQ_checks");
      if (!isUpdated || isWritten || !subject.endsWith("STREAM.INFO.WQ_checks")) return false;
      writing ??= foreign.update("WQ_checks", { ...before, description: "new" }).then(() => isWritten = true);
      return true;
    };
    assertEquals(await queue.limitRate(rate), true);
    await writing;
    assertEquals([isWritten, (await queue.counts())?.rateLimit], [true, rate]);
  });
}
