import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { openStores } from "../../_support/open_stores.ts";
import { Proxy } from "../../_support/proxy.ts";

Deno.test("JobQueue.limitActive, pause and resume outlive the loss of a request", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = openStores(proxy.url, { timeout: 30_000 });
  const queue = stores.jobQueue("checks");
  await queue.open();
  const changes = [
    ["CONSUMER.CREATE", () => queue.limitActive({ high: 3 })],
    ["CONSUMER.PAUSE", () => queue.pause()],
    ["CONSUMER.PAUSE", () => queue.resume()],
  ] as const;
  for (const [method, change] of changes) {
    let isLost = false;
    proxy.tampering.lose = (subject) => !isLost && (isLost = subject.startsWith(`$JS.API.${method}.WQ_checks.high`));
    assertEquals([await change(), isLost], [true, true], method);
  }
  const counts = await queue.counts();
  assertEquals([counts?.limits.high, counts?.paused], [3, null]);
});
