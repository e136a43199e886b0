import { assert, assertEquals, assertMatch } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { CollectedLog } from "../../_support/collected_log.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

Deno.test("JobConsumer says once that it ends, and by whom", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  const stores = new QueueStores(server.url, { logger });
  const queue = stores.jobQueue("checks");
  const line = (cause: string) => `info: Worker of queue checks stopped (${cause})`;
  const ends = () => logger.lines.filter((line) => line.includes("stopped ("));

  const stopped = queue.consume(() => {});
  await Promise.all([stopped.stop(), stopped.stop()]);
  await stopped.stop();
  {
    await using _scope = queue.consume(() => {});
  }
  const controller = new AbortController();
  const aborted = queue.consume(() => {}, { signal: controller.signal });
  controller.abort();
  await aborted.closed;
  const closed = queue.consume(() => {});
  await stores.close();
  await closed.closed;
  assertEquals(ends(), ["stop() was called", "its scope ended", "its signal aborted", "close() was called"].map(line));
});

Deno.test("JobConsumer logs at its end what it gave back and what it left running", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  await using stores = new QueueStores(server.url, { logger });
  const queue = stores.jobQueue("checks");
  await queue.publishMany(Array.from({ length: 4 }, (_, data) => ({ data })));
  const go = Promise.withResolvers<void>();
  const consumer = queue.consume(() => go.promise, { prefetch: 3 });
  await waitUntil(() => consumer.status().active === 1 && consumer.status().prefetched === 3);
  const stopping = consumer.stop({ deadline: 60_000 });
  await waitUntil(async () => (await queue.counts())?.active === 1);
  consumer.stop({ deadline: 2_000 });
  await stopping;
  go.resolve();
  assertEquals(
    logger.lines.at(-1),
    "info: Worker of queue checks stopped (stop() was called), gave back 3 unstarted jobs, left 1 running at the deadline",
  );
});

Deno.test("JobConsumer says of failed jobs the first within a minute, and how many there were more at its end", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  await using stores = new QueueStores(server.url, { logger });
  const queue = stores.jobQueue<string>("checks");
  const consumer = queue.consume(({ id }) => {
    throw new Error(`broken\r\n\u001b[31m${id} ${"x".repeat(1_000)}`);
  }, { maxAttempts: 2, backoff: 0 });
  await queue.publish("a", { id: "first" });
  await waitUntil(() => consumer.status().ended.dead === 1);
  const failures = () => logger.lines.filter((line) => line.startsWith("warn: Job "));
  const [retried, dead, ...others] = failures();
  assertEquals(others, []);
  assertMatch(retried, /^warn: Job first of queue checks failed and will be retried: broken \[31mfirst x{200,300}…$/);
  assertMatch(dead, /^warn: Job first of queue checks became a dead letter: broken \[31mfirst x{200,300}…$/);
  await queue.publishMany(Array.from({ length: 50 }, (_, n) => ({ data: "a", id: `job${n}` })));
  await waitUntil(() => consumer.status().ended.dead === 51);
  assertEquals(failures().length, 2, "not one for each");
  await consumer.stop();
  const counted = failures().slice(2);
  assertEquals(counted.length, 2);
  for (const line of counted) {
    assertMatch(line, /^warn: Job job\d+ of queue checks .* \(50 more of this kind within a minute\)$/);
  }
});

Deno.test("JobConsumer says nothing of jobs that are postponed, completed or cancelled", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  await using stores = new QueueStores(server.url, { logger });
  const queue = stores.jobQueue("checks");
  const consumer = queue.consume(({ signal, data }) =>
    data === "hangs" ? new Promise((resolve) => signal.addEventListener("abort", resolve)) : undefined
  );
  await queue.publish("returns");
  await waitUntil(() => consumer.status().ended.completed === 1);
  await queue.publish("hangs", { id: "hangs" });
  await waitUntil(() => consumer.status().active === 1);
  await queue.cancel("hangs");
  await waitUntil(() => consumer.status().ended.released === 1);
  await consumer.stop();
  assertEquals(logger.lines.filter((line) => line.includes("Job ")), []);
});

for (const deny of ["$JS.API.CONSUMER.MSG.NEXT.>", "$JS.ACK.>", "$JS.API.STREAM.INFO.WQ_checks"]) {
  Deno.test(`JobConsumer that may not publish to ${deny} says so once, not for each delivery, and never that it is served`, async () => {
    await using server = await startNatsServer({
      config: `authorization { users: [
        { user: all, password: all },
        { user: worker, password: worker, permissions: { publish: { deny: ["${deny}"] } } }
      ] }`,
    });
    await using admin = new QueueStores(server.url, { user: "all", password: "all" });
    const logger = new CollectedLog();
    await using stores = new QueueStores(server.url, { user: "worker", password: "worker", logger });
    const queue = admin.jobQueue("checks", { lease: 1_000 });
    await queue.publishMany(Array.from({ length: 40 }, (_, data) => ({ data })));
    let runs = 0;
    const consumer = stores.jobQueue("checks", { lease: 1_000 }).consume(() => void runs++);
    await waitUntil(() => consumer.status().state === "impaired");
    const lines = () => logger.lines.filter((line) => !/Connected/.test(line));
    await waitUntil(() => lines().length > 0);
    // Through several leases, each of which delivers the jobs again.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    assert(lines().length <= 2, lines().join("\n"));
    assert(runs <= 40, `${runs} runs`);
    await waitUntil(() => /\$JS/.test(consumer.status().reason ?? ""));
    await consumer.stop({ deadline: 100 });
  });
}

Deno.test("JobConsumer logs that a queue is not served when that does not pass, and that it is served again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  const logger = new CollectedLog();
  await using stores = new QueueStores(proxy.url, { logger, timeout: 500 });
  const queue = stores.jobQueue("checks");
  await queue.publish(1);
  proxy.tampering.drop = (_, payload) => payload.includes("consumer_info_response");
  const consumer = queue.consume(() => {});
  assertMatch(await logger.until(/is not served/), /^warn: Queue checks is not served \(.+\), retrying$/);
  assertEquals(consumer.status().state, "impaired");
  proxy.tampering.drop = undefined;
  await logger.until(/^info: Queue checks is served again$/);
  assertEquals(consumer.status().state, "serving");
  assertEquals(logger.lines.filter((line) => line.includes("not served")).length, 1);
  await consumer.stop();
});
