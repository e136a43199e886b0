import { assertEquals } from "@std/assert";
import type { Msg } from "@nats-io/nats-core";
import type { JobEvent, JobQueue } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer does not delete another job's message that a foreign Job-Replaces names", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const other = await queue.publish("keep me", { id: "other", priority: "low" });
  await foreign.publish("wq.checks.ready.high.liar", "1", { "Job-Replaces": String(other!.sequence) });
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler, { priorities: ["high"] });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.ids, ["liar"]);
  assertEquals((await queue.get("other"))?.data, "keep me");
});

Deno.test("A cancelled run that throws sends no failed event", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const events: JobEvent[] = [];
  const listening = new AbortController();
  const following = (async () => {
    for await (const event of queue.events({ signal: listening.signal })) events.push(event);
  })();
  await using consumer = queue.consume(async ({ id, signal }) => {
    if (id === "sentinel") throw new Error("no");
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw new Error("of the cancelled one");
  }, { concurrency: 2, maxAttempts: 1 });
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().active === 1);
  assertEquals(await queue.cancel("a"), true);
  await waitUntil(() => consumer.status().ended.released === 1);
  await queue.publish(1, { id: "sentinel" });
  await waitUntil(() => events.some(({ id, type }) => id === "sentinel" && type === "dead"));
  listening.abort();
  await following;
  assertEquals(events.filter(({ id, type }) => id === "a" && type !== "started").map(({ type }) => type), [
    "cancelled",
  ]);
  assertEquals((await queue.counts())?.dead, 1);
});

Deno.test("JobConsumer has an old job's lease noted, so that a restarted server does not deliver it again", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 10_000 });
  await queue.publish(1, { id: "first" });
  await queue.publish(1, { id: "old" });
  const gate = Promise.withResolvers<void>();
  const runs = new RecordedRuns(async ({ id }) => {
    // Meanwhile the other one becomes older than its lease, which the server would count from when the message was stored.
    if (id === "first") await new Promise((resolve) => setTimeout(resolve, 10_200));
    if (id === "old") await gate.promise;
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 1, prefetch: 0 });
  await runs.started(2);
  await using other = queue.consume(runs.handler);
  await server.restart();
  await waitUntil(() => stores.connectionStatus() === "connected");
  await queue.publish(2, { id: "new" });
  await waitUntil(() => runs.ids.includes("new"));
  await using foreign = await ForeignClient.connect(server.url);
  const { num_redelivered } = await foreign.api<{ num_redelivered: number }>("CONSUMER.INFO.WQ_checks.normal");
  assertEquals(num_redelivered, 0);
  gate.resolve();
  await waitUntil(() => consumer.status().ended.completed + other.status().ended.completed === 3);
  assertEquals(runs.ids, ["first", "old", "new"]);
});

Deno.test("JobConsumer makes one retry of a job whose move is confirmed when its copy has moved on", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using others = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 10_000 });
  await queue.publish(1, { id: "a" });
  const gates = [1, 2, 3].map(() => Promise.withResolvers<void>());
  const runs = new RecordedRuns(async ({ attempt }) => {
    if (attempt === 2) gates[1].resolve();
    await gates[attempt - 1].promise;
    if (attempt < 3) throw new Error("no");
  });
  // The first worker does not hear that its move is stored until another one has run the copy and moved it, too.
  let dropped = 0;
  proxy.tampering.drop = (_subject, payload) =>
    runs.all.length > 0 && runs.all.length < 3 && /"stream":\s*"WQ_checks"|wrong last sequence/.test(payload) &&
    ++dropped > 0;
  const first = queue.consume(runs.handler, { backoff: 0, prefetch: 0 });
  await runs.started(1);
  const stopped = first.stop({ deadline: 60_000 });
  await using second = others.jobQueue("checks").consume(runs.handler, { backoff: 0 });
  await waitUntil(() => second.status().state === "serving");
  gates[0].resolve();
  await stopped;
  assertEquals([first.status().ended.retried, first.status().ended.released], [1, 0]);
  gates[2].resolve();
  await waitUntil(() => second.status().ended.completed === 1);
  assertEquals(runs.all.map(({ attempt }) => attempt), [1, 2, 3]);
  const counts = await others.jobQueue("checks").counts();
  assertEquals([counts?.active, counts?.delayed, counts?.ready.normal, counts?.dead], [0, 0, 0, 0]);
  assertEquals(dropped > 0, true);
});

Deno.test("JobConsumer removes the message that a moved copy replaces, if whoever moved it died before that", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const old = await queue.publish("old", { id: "a", priority: "low" });
  const copy = { "Job-Attempt": "2", "Job-Replaces": String(old!.sequence) };
  await foreign.publish("wq.checks.ready.high.a", '"copy"', copy);
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler, { priorities: ["high"] });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ data, attempt }) => [data, attempt]), [["copy", 2]]);
  assertEquals((await foreign.messages("WQ_checks")).length, 0);
});

/** Takes the next job, as a worker does that then dies. */
function take({ connection }: ForeignClient): Promise<Msg> {
  const options = { timeout: 15_000, noMux: true };
  return connection.request("$JS.API.CONSUMER.MSG.NEXT.WQ_checks.normal", '{"batch":1}', options);
}

/** Lets a worker make the durable consumers of a queue. */
async function makeConsumers(queue: JobQueue): Promise<void> {
  const worker = queue.consume(() => {});
  await waitUntil(() => worker.status().state === "serving");
  await worker.stop();
}

Deno.test("JobConsumer removes what a copy replaces before it moves the copy on, whose worker has died with both", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 4_000 });
  await makeConsumers(queue);
  const { sequence } = (await queue.publish(1, { id: "a" }))!;
  const original = await take(foreign);
  const headers = { "Job-Attempt": "2", "Job-Replaces": String(sequence) };
  await foreign.publish("wq.checks.ready.normal.a", "1", headers);
  await take(foreign);
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  // The copy comes back first, and has ended when the lease of the original does.
  await waitUntil(() => {
    original.respond("+WPI");
    return consumer.status().ended.completed === 1;
  });
  await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
  assertEquals(runs.all.map(({ attempt }) => attempt), [2]);
});

Deno.test("JobConsumer removes what a copy replaces also where it gives the copy back unstarted", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 60_000 });
  await makeConsumers(queue);
  const { sequence } = (await queue.publish(1, { id: "a" }))!;
  await take(foreign);
  await queue.publish(1, { id: "blocks" });
  await foreign.publish("wq.checks.ready.normal.a", "1", { "Job-Attempt": "2", "Job-Replaces": String(sequence) });
  const gate = Promise.withResolvers<void>();
  const consumer = queue.consume(() => gate.promise, { concurrency: 1, prefetch: 5 });
  await waitUntil(() => consumer.status().prefetched === 1);
  const stopped = consumer.stop();
  await waitUntil(async () => (await foreign.messages("WQ_checks", "wq.checks.*.*.a")).length === 1);
  gate.resolve();
  await stopped;
  const [copy] = await foreign.messages("WQ_checks");
  assertEquals([copy.subject, copy.headers["Job-Attempt"]?.toString()], ["wq.checks.ready.normal.a", "2"]);
});
