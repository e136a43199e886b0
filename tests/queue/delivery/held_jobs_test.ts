import type { Msg } from "@nats-io/nats-core";
import { assert, assertEquals } from "@std/assert";
import { Delivery } from "../../../src/queue/delivery/delivery.ts";
import { HeldJobs } from "../../../src/queue/delivery/held_jobs.ts";
import { RunningTicks } from "../../../src/queue/delivery/running_ticks.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

/** A delivery of the message of sequence 7. */
function delivery(deliveries: number): Delivery {
  const reply = `$JS.ACK.WQ_checks.normal.${deliveries}.7.${deliveries}.1700000000000000000.0`;
  const message = { subject: "wq.checks.ready.normal.a", reply } as Msg;
  return new Delivery(message, { lease: 30_000 }, performance.now());
}

Deno.test("HeldJobs.release drops no newer delivery of the same message that waits", () => {
  const held = new HeldJobs(new RunningTicks());
  const [first, second] = [delivery(1), delivery(2)];
  held.start(first);
  held.waiting.set(second.sequence, second);
  held.release(first, "The lease was lost");
  assert(first.released && !second.released);
  assertEquals([...held.waiting.values()], [second]);
  held.release(second, "The lease was lost");
  assertEquals(held.waiting.size, 0);
});

Deno.test("JobConsumer never runs a message twice at once, though it lost the lease and was given the job again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 5_000 });
  await queue.publish(1, { id: "a" });
  const gate = Promise.withResolvers<void>();
  const runs = new RecordedRuns(({ fence }) => fence % 1024 === 1 ? gate.promise : undefined);
  // The signs of life of the first run are lost.
  proxy.tampering.lose = (_subject, payload) => runs.all.length > 0 && payload.startsWith("+WPI");
  await using consumer = queue.consume(runs.handler, { concurrency: 2, prefetch: 0 });
  const redelivered = () =>
    foreign.api<{ num_redelivered: number }>("CONSUMER.INFO.WQ_checks.normal").then((info) => info.num_redelivered);
  await runs.started(1);
  await waitUntil(async () => await redelivered() === 1 && consumer.status().prefetched === 1);
  assertEquals(runs.all.length, 1);
  proxy.tampering.lose = undefined;
  gate.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals([runs.all.length, runs.mostActive], [2, 1]);
});
