import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import { Proxy } from "../_proxy.ts";
import { waitUntil } from "../_wait_until.ts";
import { ForeignClient } from "./_foreign_client.ts";
import { QueueStores } from "./_queue_stores.ts";
import { RecordedRuns } from "./_recorded_runs.ts";

const COUNT = 400;
const jobs = Array.from({ length: COUNT }, (_, index) => ({ data: index }));

/** Whether it is an empty message to the inbox of requests, as the confirmation of an acknowledgement is. */
const isConfirmation = (subject: string, payload: string) => subject.startsWith("_INBOX.") && payload === "\r\n";

Deno.test("JobConsumer asks a server that is alone for one confirmation of many acknowledgements, which speaks for all", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("many");
  for (let round = 0; round < 5; round++) {
    let confirmations = 0;
    proxy.tampering.drop = (subject, payload) => {
      if (isConfirmation(subject, payload)) confirmations++;
      return false;
    };
    await queue.publishMany(jobs);
    await using consumer = queue.consume(() => {}, { concurrency: 100 });
    await waitUntil(() => consumer.status().ended.completed === COUNT);
    assertEquals(await foreign.messages("WQ_many"), []);
    assertGreater(confirmations, 0);
    assertLess(confirmations, COUNT / 4);
  }
});

Deno.test("JobConsumer acknowledges each of many jobs again when their one confirmation is lost, and runs none twice", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("lossy", { lease: 3_000 });
  let confirmations = 0;
  proxy.tampering.drop = (subject, payload) => isConfirmation(subject, payload) && ++confirmations % 2 === 1;
  await queue.publishMany(jobs);
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler, { concurrency: 100 });
  await waitUntil(() => consumer.status().active === 0 && runs.all.length >= COUNT, 20_000);
  await waitUntil(async () => (await foreign.messages("WQ_lossy")).length === 0, 20_000);
  assertGreater(confirmations, 0);
  assertEquals(new Set(runs.ids).size, COUNT);
  assertEquals(runs.all.length, COUNT);
});

Deno.test("JobConsumer asks a cluster to confirm each acknowledgement", async () => {
  await using cluster = await startNatsCluster();
  await using proxy = new Proxy(cluster.servers[0].url);
  await using stores = new QueueStores(proxy.url);
  const queue = stores.jobQueue("each", { replicas: 3 });
  let confirmations = 0;
  proxy.tampering.drop = (subject, payload) => {
    if (isConfirmation(subject, payload)) confirmations++;
    return false;
  };
  await queue.publishMany(jobs);
  await using consumer = queue.consume(() => {}, { concurrency: 100 });
  await waitUntil(() => consumer.status().ended.completed === COUNT, 20_000);
  assertGreater(confirmations, COUNT - 1);
});
