import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { reload } from "../../_support/reload.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer says why it is not served when each opening breaks off at once, and serves once it does not", async () => {
  const denied = `publish: { deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] }`;
  await using server = await startNatsServer({
    config: `authorization { users: [ { user: worker, password: x, permissions: { ${denied} } } ] }`,
  });
  await using stores = new QueueStores(server.url, { user: "worker", password: "x" });
  const queue = stores.jobQueue("checks");
  await queue.publish(1);
  await using consumer = queue.consume(() => {}, { concurrency: 10 });
  const complaints = () => stores.log.filter((line) => /is not served.*CONSUMER.MSG.NEXT/.test(line));
  await waitUntil(() => complaints().length > 0);
  await reload(server, denied, "");
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(complaints().length, 1);
});

Deno.test("JobConsumer takes no job before its opening is complete, though the settings of the queue change meanwhile", async () => {
  await using server = await startNatsServer();
  await using admin = new QueueStores(server.url);
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url, { timeout: 1_000 });
  const queue = admin.jobQueue("checks", { lease: 2_000 });
  await queue.publish(1);
  await queue.open();
  let answers = 0;
  const lost = Promise.withResolvers<void>();
  // The first one tells that the durable consumer is there, the second one its settings.
  proxy.tampering.drop = (_, payload) => {
    if (!payload.includes("consumer_info_response") || !payload.includes('"name":"high"') || ++answers !== 2) {
      return false;
    }
    lost.resolve();
    return true;
  };
  const runs = new RecordedRuns();
  await using consumer = stores.jobQueue("checks").consume(runs.handler);
  await within(lost.promise);
  await queue.limitActive({ low: 5 });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.length, 1);
});
