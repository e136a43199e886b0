import { assert, assertEquals, assertMatch } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { Relay } from "../../_support/relay.ts";
import { startProcess } from "../../_support/start_process.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const WORKER = new URL("../_worker.ts", import.meta.url);

Deno.test("JobQueue.cancel removes a waiting or delayed job, and returns whether there was one", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const ways = [{}, { priority: "low" }, { delay: 60_000 }, { delay: 60_000, priority: "high" }, { key: "k" }] as const;
  for (const [index, way] of ways.entries()) await queue.publish(1, { id: `job.${index}`, ...way });
  for (const index of ways.keys()) {
    assertEquals(await queue.cancel(`job.${index}`), true);
    assertEquals(await queue.get(`job.${index}`), null);
    assertEquals(await queue.cancel(`job.${index}`), false);
  }
  assertEquals(await queue.cancel("nobody"), false);
  assertEquals(await stores.jobQueue("nowhere").cancel("a"), false);
  assertEquals(await foreign.stream("WQ_nowhere"), undefined);
  assertEquals((await foreign.messages("WQ_checks")).length, 0);
  const runs = new RecordedRuns();
  await using _consumer = queue.consume(runs.handler);
  await queue.publish(1, { id: "last" });
  await runs.started(1);
  assertEquals(runs.ids, ["last"]);
});

Deno.test("JobQueue.cancel aborts the signal of a job that runs in another process, and it does not come back", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 10_000 });
  await queue.open();
  await using worker = startProcess(WORKER, server.url, "checks", "hangs");
  assertEquals(await worker.nextLine(), "serving");
  for (const id of ["first", "second"]) {
    await queue.publish(1, { id });
    assertEquals(await worker.nextLine(), `started ${id} 1 1`);
    assertEquals(await queue.cancel(id), true);
    assertEquals(await worker.nextLine(), `aborted ${id}`);
    assertEquals(await queue.get(id), null);
  }
  const counts = await queue.counts();
  assertEquals([counts?.active, counts?.delayed, counts?.dead, counts?.ready.normal], [0, 0, 0, 0]);
});

Deno.test("JobQueue.cancel ends what a worker holds that was disconnected meanwhile, once it is connected again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(server.url);
  await using cutOff = new QueueStores(proxy.url);
  const aborted = Promise.withResolvers<unknown>();
  const runs = new RecordedRuns<string>(async ({ id, signal }) => {
    if (id !== "runs") return;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    aborted.resolve(signal.reason);
  });
  await using worker = cutOff.jobQueue<string>("checks").consume(runs.handler, { concurrency: 1, prefetch: 1 });
  const queue = stores.jobQueue<string>("checks");
  for (const id of ["runs", "waits"]) await queue.publish(id, { id });
  await waitUntil(() => runs.all.length === 1 && worker.status().prefetched === 1);
  proxy.tampering.refuse = () => true;
  proxy.cut();
  await waitUntil(() => worker.status().state === "connecting");
  for (const id of ["runs", "waits"]) assertEquals(await queue.cancel(id), true);
  proxy.tampering.refuse = undefined;
  assertMatch(String(await within(aborted.promise)), /The job was cancelled/);
  await queue.publish("last", { id: "last" });
  await waitUntil(() => worker.status().ended.completed === 1);
  assertEquals(runs.ids, ["runs", "last"]);
});

Deno.test("JobQueue.cancel wins over whatever the handler does afterwards", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const reasons: string[] = [];
  const runs = new RecordedRuns<string>(async ({ data, signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    reasons.push(signal.reason.message);
    if (data === "throws") throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 2, maxAttempts: 1 });
  await queue.publish("returns", { id: "a" });
  await queue.publish("throws", { id: "b" });
  await runs.started(2);
  assertEquals(await Promise.all([queue.cancel("a"), queue.cancel("b")]), [true, true]);
  await waitUntil(() => consumer.status().ended.released === 2);
  assertEquals(reasons, ["The job was cancelled", "The job was cancelled"]);
  const { completed, retried, dead } = consumer.status().ended;
  assertEquals([completed, retried, dead], [0, 0, 0]);
  assertEquals((await queue.counts())?.dead, 0);
});

Deno.test("JobQueue.cancel takes out a job that a worker has fetched and not started, and one that waits for its retry", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  const go = Promise.withResolvers<void>();
  const runs = new RecordedRuns<string>(async ({ data }) => {
    if (data === "fails") throw new Error("no");
    await go.promise;
  });
  await queue.publish("fails", { id: "retries" });
  await using consumer = queue.consume(runs.handler, { prefetch: 2, backoff: 3_000 });
  await waitUntil(() => consumer.status().ended.retried === 1);
  assertEquals(await queue.cancel("retries"), true);
  await queue.publishMany(["runs", "fetched", "too"].map((id) => ({ data: id, id })));
  await waitUntil(() => consumer.status().prefetched === 2);
  assertEquals(await queue.cancel("fetched"), true);
  await waitUntil(() => consumer.status().prefetched === 1);
  go.resolve();
  await waitUntil(() => consumer.status().ended.completed === 2);
  await queue.publish("last", { id: "last", delay: 3_100 });
  await waitUntil(() => consumer.status().ended.completed === 3);
  assertEquals(runs.ids, ["retries", "runs", "too", "last"]);
});

Deno.test("JobQueue.cancel by several at once is true for at least one, and the job is gone", async () => {
  await using server = await startNatsServer();
  await using one = new QueueStores(server.url);
  await using two = new QueueStores(server.url);
  for (let round = 0; round < 20; round++) {
    await one.publishJob("checks", 1, { id: "a", ...(round % 2 && { delay: 60_000 }) });
    const answers = await Promise.all([one, two, one, two].map((stores) => stores.jobQueue("checks").cancel("a")));
    assertEquals(answers.filter((answer) => answer === true).length, 1, `answers: ${answers}`);
    assertEquals(await one.jobQueue("checks").get("a"), null);
  }
});

Deno.test("JobQueue.cancel is null when the reply to its delete is lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url, { timeout: 5_000 });
  await using others = new QueueStores(server.url);
  const [queue, other] = [stores.jobQueue("lossy"), others.jobQueue("lossy")];
  await other.publish(1, { id: "a" });
  proxy.tampering.drop = (_subject, payload) => payload.includes("stream_msg_delete_response");
  assertEquals(await queue.cancel("a"), null);
  proxy.tampering.drop = undefined;
  assertEquals(await other.get("a"), null);
  assertEquals(await other.cancel("a"), false);
});

Deno.test("JobQueue.cancel is null when the connection breaks after its delete, and true if that was answered", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url, { timeout: 20_000 });
  const queue = stores.jobQueue("checks");
  for (const id of ["unanswered", "answered"]) await queue.publish(1, { id });
  let cuts = 0;
  const cut = () => {
    if (cuts++ === 0) proxy.cut();
    return cuts === 1;
  };
  proxy.tampering.drop = (_subject, payload) => payload.includes("stream_msg_delete_response") && cut();
  assertEquals(await queue.cancel("unanswered"), null);
  assertEquals(await queue.get("unanswered"), null);
  proxy.tampering.drop = undefined;
  cuts = 0;
  // The publish behind the delete.
  proxy.tampering.lose = (subject) => subject.endsWith(".answered") && cut();
  assertEquals(await queue.cancel("answered"), true);
  assertEquals(await queue.get("answered"), null);
});

Deno.test("A cancelled job never comes back, also when it is cancelled just as its schedule fires", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using one = new QueueStores(server.url);
  await using two = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await Promise.all([queue.open(), one.connect(), two.connect()]);
  const count = Number(Deno.env.get("SUPERCHECK_TEST_CANCELS") ?? 500);
  const jobs = Array.from({ length: count }, (_, n) => ({
    data: n,
    id: `job${n}`,
    runAt: new Date(Date.now() + 1_000 + Math.floor(n / 2)),
  }));
  assert((await queue.publishMany(jobs))?.every((receipt) => receipt?.duplicate === false));
  // The server fires a schedule up to a quarter of a second late.
  const answers = await Promise.all(jobs.map(async ({ id, runAt }, n) => {
    const wait = runAt.getTime() - Date.now() - 20 + Math.random() * 250;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, wait)));
    return await [one, two][n % 2].jobQueue("checks").cancel(id);
  }));
  assertEquals(answers.filter((answer) => answer !== true), []);
  // Every schedule is due, and one that is published now fires after them.
  await queue.publish(1, { id: "last", runAt: new Date() });
  await waitUntil(async () => (await queue.get("last"))?.state === "ready");
  const counts = await queue.counts();
  assertEquals([counts?.ready.normal, counts?.delayed], [1, 0]);
});

Deno.test("JobQueue.cancel also takes out the job of a schedule that fires behind its delete", async () => {
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  await using proxy = new Proxy(relay.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a", delay: 60_000 });
  // The publish that waits behind a firing schedule gets through once the schedule has fired.
  let fired = 0;
  proxy.tampering.lose = (subject) => {
    if (subject === "wq.checks.later.normal.a" && fired++ === 0) {
      relay.hold("up");
      foreign.publish("wq.checks.ready.normal.a", "1").then(() => relay.release("up"));
    }
    return false;
  };
  assertEquals(await queue.cancel("a"), true);
  assert(fired >= 2);
  assertEquals((await foreign.messages("WQ_checks")).length, 0);
});

Deno.test("JobQueue.cancel takes out the job of a schedule that the server stores behind those of others", async () => {
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  await using proxy = new Proxy(relay.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const fired = Promise.withResolvers<void>();
  const fire = async () => {
    relay.hold("up");
    await foreign.publish("wq.checks.ready.normal.a", "1");
    relay.release("up");
    fired.resolve();
  };
  let [isDelayed, isRefused] = [false, false];
  // A server that fires many at once stores one by one what they make, whatever was deleted meanwhile.
  proxy.tampering.change = (_subject, payload) => {
    if (isDelayed && !isRefused && payload.includes("wrong last sequence")) {
      isRefused = true;
      setTimeout(fire, 20);
    }
    return undefined;
  };
  // On a busy machine its schedule may fire before it is cancelled.
  while (!isRefused) {
    const { sequence } = (await queue.publish(1, { id: "a", delay: 200 }))!;
    isDelayed = false;
    proxy.tampering.lose = (subject, body) => {
      if (subject.startsWith("$JS.API.STREAM.MSG.DELETE.")) isDelayed = JSON.parse(body).seq === sequence;
      return false;
    };
    assertEquals(await queue.cancel("a"), true);
  }
  await within(fired.promise);
  assertEquals((await foreign.messages("WQ_checks")).length, 0);
});
