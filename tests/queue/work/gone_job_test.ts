import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
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
