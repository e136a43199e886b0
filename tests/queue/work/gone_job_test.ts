import { assertEquals } from "@std/assert";
import type { JobConsumer } from "../../../mod.ts";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { Proxy } from "../../_support/proxy.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer has ended a job whose message is gone as it fails: should a server have it back, it is removed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish("data", { id: "job" });
  const [{ sequence, time }] = await foreign.messages("WQ_checks");
  const runs = new RecordedRuns(async () => {
    // Unlike a delete, of this no worker is told.
    await foreign.api("STREAM.PURGE.WQ_checks", { filter: "wq.checks.*.*.job" });
    throw new Error("It fails");
  });
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.released === 1);
  const question = JSON.stringify([[sequence, new Date(time).getTime()]]);
  const answer = await foreign.connection.request("wqevt.checks.known", question, { timeout: 10_000 });
  assertEquals([answer.json(), runs.ids], [["ended"], ["job"]]);
});

Deno.test("JobConsumer retries a job whose retry could not be stored while it held the lease, when it gets the job again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  const queue = stores.jobQueue("checks", { lease: 3_000 });
  await queue.publish("data", { id: "job" });
  let before = Infinity;
  const runs = new RecordedRuns(({ attempt }) => {
    if (attempt > 1) return;
    before = consumer.status().ended.released;
    proxy.tampering.lose = (subject) => /^(wq\.|\$JS\.ACK\.)/.test(subject);
    throw new Error("It fails");
  });
  await using consumer: JobConsumer = queue.consume(runs.handler, { backoff: 0 });
  await waitUntil(() => consumer.status().ended.released > before);
  proxy.tampering.lose = undefined;
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ attempt }) => attempt), [1, 2]);
});

Deno.test("JobConsumer acknowledges nothing because a server of a cluster does not find the message", async () => {
  await using cluster = await startNatsCluster();
  await using stores = new QueueStores(cluster.urls[0]);
  await using foreign = await ForeignClient.connect(cluster.urls[1]);
  const queue = stores.jobQueue("checks", { replicas: 3 });
  await queue.publish("data", { id: "job" });
  const [{ sequence, time }] = await foreign.messages("WQ_checks");
  const answers: string[] = [];
  foreign.connection.subscribe("$JS.ACK.WQ_checks.>", {
    callback: (_, message) => void answers.push(message.string()),
  });
  await foreign.connection.flush();
  const runs = new RecordedRuns(async () => {
    await foreign.request("STREAM.PURGE.WQ_checks", { filter: "wq.checks.*.*.job" });
    throw new Error("It fails");
  });
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.released === 1);
  const question = JSON.stringify([[sequence, new Date(time).getTime()]]);
  const answer = await foreign.connection.request("wqevt.checks.known", question, { timeout: 10_000 });
  // It did not lead to an end that another delivery would meet.
  assertEquals([answer.json(), answers.filter((word) => word !== "+WPI")], [["held"], []]);
});
