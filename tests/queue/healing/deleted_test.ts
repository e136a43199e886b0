import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { QueueNames } from "../../../src/queue/format/queue_names.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { openStores } from "../../_support/open_stores.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { RecordedRuns } from "../_recorded_runs.ts";
import { api } from "../../ledger/api.ts";
import { HeldJob } from "./_held_job.ts";
import { WatchedWorker } from "./_watched_worker.ts";

const STREAM = "WQ_healing";

Deno.test("JobConsumer makes a durable consumer again that was deleted; what it runs meanwhile runs once", async () => {
  const across = new HeldJob("across");
  await using server = await startNatsServer();
  await using worker = new WatchedWorker({ url: server.url, handler: across.handler });
  await worker.publish("across");
  await across.started;
  await api([server.url], `CONSUMER.DELETE.${STREAM}.normal`);
  await worker.publish("after");
  await waitUntil(() => worker.runsOf("after") === 1);
  across.letGo();
  await worker.healed(["across", "after"]);
});

Deno.test("JobConsumer serves a queue again whose stream was deleted, once a publish makes it; the signals of its active jobs abort", async () => {
  const told = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  await using server = await startNatsServer();
  await using worker = new WatchedWorker({
    url: server.url,
    handler: ({ id, signal }) => {
      if (id !== "deleted") return;
      signal.addEventListener("abort", () => told.resolve());
      started.resolve();
      return told.promise;
    },
  });
  await worker.publish("deleted");
  await started.promise;
  await api([server.url], `STREAM.DELETE.${STREAM}`);
  await told.promise;
  await worker.publish("after");
  await worker.healed(["deleted", "after"]);
  assertEquals(worker.consumer.status().ended.released, 1);
});

Deno.test("JobConsumer serves a stream that was deleted and made again", async () => {
  await using server = await startNatsServer();
  await using worker = new WatchedWorker({ url: server.url });
  await worker.publish("before");
  await worker.healed(["before"]);
  const { config } = await api<{ config: Record<string, unknown> }>([server.url], `STREAM.INFO.${STREAM}`);
  await api([server.url], `STREAM.DELETE.${STREAM}`);
  // The worker may have been faster.
  await api([server.url], `STREAM.CREATE.${STREAM}`, config).catch((error) => assert(/in use/.test(error.message)));
  await worker.publish("after");
  await worker.healed(["before", "after"]);
});

Deno.test("JobConsumer keeps what it fetched from other durable consumers when one is deleted", async () => {
  const first = new HeldJob("first");
  const deliveries: number[] = [];
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("healing");
  const ids = ["first", "second", "third"];
  for (const id of ids) await queue.publish(null, { id, priority: "high" });
  await using consumer = queue.consume((job) => {
    deliveries.push(job.deliveries);
    return first.handler(job);
  }, { prefetch: 5 });
  await waitUntil(() => consumer.status().prefetched === 2);
  await api([server.url], `CONSUMER.DELETE.${STREAM}.low`);
  // It is there again once the worker has opened the queue anew.
  await waitUntil(() => api([server.url], `CONSUMER.INFO.${STREAM}.low`).then(() => true, () => false));
  await waitUntil(() => consumer.status().state === "serving");
  first.letGo();
  await waitUntil(() => consumer.status().ended.completed === 3);
  assertEquals(deliveries, [1, 1, 1]);
});

Deno.test("JobConsumer starts no job whose durable consumer was deleted while the start waited, as another one delivers it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const ids = ["a", "b", "c", "d"];
  const queue = stores.jobQueue("checks");
  await queue.open();
  await queue.publishMany(ids.map((id) => ({ data: null, id })));
  // Each is being changed, so that its start waits until that is decided.
  const copies = await Promise.all(
    ids.map((id, i) =>
      foreign.publish(new QueueNames("checks").replacement(id), "null", {
        "Nats-Schedule": `@at ${new Date(Date.now() + 3_600_000).toISOString()}`,
        "Nats-Schedule-Target": `wq.checks.ready.normal.${id}`,
        "Job-Replacing": `${i + 1}`,
      })
    ),
  );
  const runs = new RecordedRuns();
  const delivered = async () => {
    const info = await foreign.api<{ num_ack_pending?: number }>("CONSUMER.INFO.WQ_checks.normal");
    return info.num_ack_pending;
  };
  // As many as it may run, so that it has no pull open.
  await using first = queue.consume(runs.handler, { concurrency: ids.length, prefetch: 0 });
  await waitUntil(async () => await delivered() === ids.length);
  await using second = others.jobQueue("checks").consume(runs.handler, { concurrency: ids.length });
  await waitUntil(() => second.status().state === "serving");
  await foreign.request("CONSUMER.DELETE.WQ_checks.normal");
  await waitUntil(async () => await delivered() === ids.length);
  for (const { seq } of copies) await foreign.request("STREAM.MSG.DELETE.WQ_checks", { seq });
  await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
  await Promise.all([first.stop(), second.stop()]);
  assertEquals(runs.ids.toSorted(), ids);
});

Deno.test("JobConsumer makes the durable consumer of a partition again; what a full worker runs meanwhile runs once", async () => {
  const across = new HeldJob("across");
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns(across.handler);
  await queue.publish(null, { id: "across", key: "k" });
  await using consumer = queue.consume(runs.handler, { concurrency: 1, prefetch: 0 });
  await across.started;
  const [{ subject }] = await foreign.messages("WQ_checks");
  const partition = subject.split(".")[3];
  await foreign.request(`CONSUMER.DELETE.WQ_checks.k${partition}`);
  await waitUntil(async () => {
    const info = await foreign.api<{ error?: unknown }>(`CONSUMER.INFO.WQ_checks.k${partition}`);
    return info.error === undefined;
  });
  across.letGo();
  await waitUntil(() => consumer.status().ended.completed === 1);
  await queue.publish(null, { id: "after", key: "k" });
  await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
  assertEquals(runs.ids, ["across", "after"]);
});
