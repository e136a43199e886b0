import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_wait_until.ts";
import { ForeignClient } from "../queue/_foreign_client.ts";
import { QueueStores } from "../queue/_queue_stores.ts";

Deno.test("JobConsumer says why it is not served when each opening breaks off at once, and serves when that is mended", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  const { config } = await foreign.api<{ config: { filter_subject: string } }>("CONSUMER.INFO.WQ_checks.normal");
  const limit = (max_batch: number) =>
    foreign.api(`CONSUMER.CREATE.WQ_checks.normal.${config.filter_subject}`, {
      stream_name: "WQ_checks",
      config: { ...config, max_batch },
      action: "update",
    });
  await limit(1);
  await queue.publish(1);
  await using consumer = queue.consume(() => {}, { concurrency: 10 });
  const complaints = () => stores.log.filter((line) => /is not served.*MaxRequestBatch/.test(line));
  await waitUntil(() => complaints().length > 0);
  await limit(0);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(complaints().length, 1);
});
