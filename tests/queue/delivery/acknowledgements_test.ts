import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const TOGETHER = 100;
const COUNT = 4 * TOGETHER;
const jobs = Array.from({ length: COUNT }, (_, index) => ({ data: index }));

/** A proxy that counts the acknowledgements that ask for a confirmation, and can lose the first of these. */
class CountingProxy extends Proxy {
  asked = 0;

  constructor(url: string, losesFirst = false) {
    super(url);
    let lost: string | undefined;
    this.tampering.lose = (_, payload, reply) => {
      if (payload === "+ACK\r\n" && reply !== undefined && ++this.asked === 1) lost = reply;
      return false;
    };
    this.tampering.drop = (subject) => {
      if (!losesFirst || subject !== lost) return false;
      lost = undefined;
      return true;
    };
  }
}

/** A handler whose runs end in one turn, a hundred at a time. */
function endTogether(): () => Promise<void> {
  let gate = Promise.withResolvers<void>();
  let started = 0;
  return () => {
    const { promise, resolve } = gate;
    if (++started % TOGETHER === 0) {
      gate = Promise.withResolvers();
      resolve();
    }
    return promise;
  };
}

Deno.test("JobConsumer asks a server that is alone for one confirmation of the acknowledgements of one turn, which speaks for all", async () => {
  await using server = await startNatsServer();
  await using proxy = new CountingProxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("many");
  await queue.publishMany(jobs);
  await using consumer = queue.consume(endTogether(), { concurrency: TOGETHER });
  await waitUntil(() => consumer.status().ended.completed === COUNT);
  assertEquals(await foreign.messages("WQ_many"), []);
  // One for each hundred; of an answer that took a second, each of them asks for its own.
  assertLess(proxy.asked, COUNT);
});

Deno.test("JobConsumer acknowledges each of many jobs again when their one confirmation is lost, and runs none twice", async () => {
  await using server = await startNatsServer();
  await using proxy = new CountingProxy(server.url, true);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("lossy", { lease: 10_000 });
  await queue.publishMany(jobs);
  const runs = new RecordedRuns(endTogether());
  await using consumer = queue.consume(runs.handler, { concurrency: TOGETHER });
  await waitUntil(() => consumer.status().ended.completed === COUNT);
  assertEquals(await foreign.messages("WQ_lossy"), []);
  assertEquals(new Set(runs.ids).size, COUNT);
  assertEquals(runs.all.length, COUNT);
  // One for each hundred, and another one at least for that of the lost one.
  assertGreater(proxy.asked, COUNT / TOGETHER);
});

Deno.test("JobConsumer asks a cluster to confirm each acknowledgement", async () => {
  await using cluster = await startNatsCluster();
  await using proxy = new CountingProxy(cluster.servers[0].url);
  await using stores = new QueueStores(proxy.url);
  const queue = stores.jobQueue("each", { replicas: 3 });
  await queue.publishMany(jobs);
  await using consumer = queue.consume(endTogether(), { concurrency: TOGETHER });
  await waitUntil(() => consumer.status().ended.completed === COUNT);
  assertGreater(proxy.asked, COUNT - 1);
});
