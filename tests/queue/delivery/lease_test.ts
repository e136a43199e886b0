import { assert, assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { Relay } from "../../_support/relay.ts";
import { startProcess } from "../../_support/start_process.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const WORKER = new URL("../_worker.ts", import.meta.url);

Deno.test("JobConsumer extends the lease of a job that runs longer: it runs once, with another worker idle", async () => {
  await using server = await startNatsServer();
  await using one = new QueueStores(server.url);
  await using two = new QueueStores(server.url);
  const runs = new RecordedRuns(() => new Promise((resolve) => setTimeout(resolve, 11_000)));
  await using a = one.jobQueue("checks", { lease: 5_000 }).consume(runs.handler);
  await using b = two.jobQueue("checks", { lease: 5_000 }).consume(runs.handler);
  await waitUntil(() => a.status().state === "serving" && b.status().state === "serving");
  await one.publishJob("checks", 1, { id: "a" });
  await waitUntil(() => a.status().ended.completed + b.status().ended.completed === 1);
  assertEquals(runs.all.length, 1);
  assertEquals((await one.jobQueue("checks").counts())?.active, 0);
});

Deno.test("JobConsumer extends the lease of the first job that a new worker takes, too", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 300 });
  const runsOf = async (id: string) => {
    await queue.publish(1, { id });
    const runs = new RecordedRuns(() => new Promise((resolve) => setTimeout(resolve, 1_300)));
    const begun = performance.now();
    await using first = queue.consume(runs.handler);
    await runs.started(1);
    await using second = queue.consume(runs.handler);
    await waitUntil(() => first.status().ended.completed + second.status().ended.completed > 0);
    return { runs: runs.all.length, after: runs.all[0].at - begun };
  };
  // So short that it is over before the usual first look, unless it began late. A machine that is busy for as long costs it, too.
  const saysNothing = ({ runs, after }: { runs: number; after: number }) => runs > 1 || after > 150;
  let round = await runsOf("1");
  for (let n = 2; saysNothing(round) && n <= 12; n++) round = await runsOf(`${n}`);
  assertEquals(round.runs, 1);
});

Deno.test("A queue's lease is kept on the server, and goes for those who do not name it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using others = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const ackWait = async () => {
    const names = ["high", "normal", "low"];
    const infos = await Promise.all(
      names.map((name) => foreign.api<{ config: { ack_wait: number } }>(`CONSUMER.INFO.WQ_checks.${name}`)),
    );
    return infos.map(({ config }) => config.ack_wait / 1e6);
  };
  await stores.jobQueue("checks").open();
  assertEquals(await ackWait(), [30_000, 30_000, 30_000]);
  await stores.jobQueue("checks", { lease: 5_000 }).open();
  assertEquals(await ackWait(), [5_000, 5_000, 5_000]);
  await others.jobQueue("checks").open();
  assertEquals(await ackWait(), [5_000, 5_000, 5_000]);
  const runs = new RecordedRuns(() => new Promise((resolve) => setTimeout(resolve, 11_000)));
  await using consumer = others.jobQueue("checks").consume(runs.handler, { concurrency: 2 });
  await others.publishJob("checks", 1);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.length, 1);
});

Deno.test("A job whose worker was killed runs elsewhere when its lease is over, as the same attempt", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 5_000 });
  await queue.open();
  await using dying = startProcess(WORKER, server.url, "checks", "hangs", '{"concurrency":2,"prefetch":3}');
  assertEquals(await dying.nextLine(), "serving");
  await queue.publishMany(Array.from({ length: 5 }, (_, n) => ({ data: n, id: `job${n}` })));
  const started = [await dying.nextLine(), await dying.nextLine()];
  assertEquals(started, ["started job0 1 1", "started job1 1 1"]);
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().state === "serving");
  await dying.kill();
  const killed = performance.now();
  await waitUntil(() => consumer.status().ended.completed === 5);
  assertEquals(runs.ids.toSorted(), ["job0", "job1", "job2", "job3", "job4"]);
  assert(runs.all.every(({ attempt }) => attempt === 1));
  const again = runs.all.filter(({ id }) => id === "job0" || id === "job1");
  assertEquals(again.map(({ deliveries }) => deliveries), [2, 2]);
  for (const { at } of again) assertLess(at - killed, 20_000);
});

function standStill(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

Deno.test("A worker that lost its lease aborts the run, and neither acknowledges nor moves the job", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  for (const end of ["returns", "throws", "returns-at-once", "throws-at-once"]) {
    const queue = stores.jobQueue(end, { lease: 5_000 });
    const began = Promise.withResolvers<void>();
    const otherIsServed = Promise.withResolvers<void>();
    const reported = Promise.withResolvers<unknown>();
    const consumer = queue.consume(async ({ signal }) => {
      began.resolve();
      await otherIsServed.promise;
      // The process stands still for longer than the lease, while the other worker has nothing to do.
      standStill(6_000);
      // Where it ends at once, it does so before anything else of the process has come to its turn.
      if (!end.endsWith("at-once")) await new Promise((resolve) => signal.addEventListener("abort", resolve));
      reported.resolve(signal.aborted ? signal.reason.message : "at once");
      if (end.startsWith("throws")) throw new Error("too late");
    });
    await queue.publish(1, { id: "job" });
    await within(began.promise);
    await using other = startProcess(WORKER, server.url, end, "hangs");
    assertEquals(await other.nextLine(), "serving");
    otherIsServed.resolve();
    assertMatch(await other.nextLine(), /^started job 1 [23]$/);
    assertEquals(await within(reported.promise), end.endsWith("at-once") ? "at once" : "The lease was lost");
    await waitUntil(() => consumer.status().ended.released === 1);
    await consumer.stop();
    // It is the other's: still there, and as it was.
    assertEquals(await queue.get("job").then((info) => [info?.state, info?.attempt]), ["active", 1]);
    assertEquals(await queue.cancel("job"), true);
    assertEquals(await other.nextLine(), "aborted job");
    const counts = await queue.counts();
    assertEquals([counts?.active, counts?.delayed, counts?.dead], [0, 0, 0]);
  }
});

Deno.test("Job.fence grows with each run of a job: redelivered, retried, postponed, redriven", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 5_000 });
  await queue.open();
  await using dying = startProcess(WORKER, server.url, "checks", "dies");
  await dying.nextLine();
  const receipt = await queue.publish(1, { id: "a" });
  await dying.nextLine();
  const runs = new RecordedRuns(() => {
    throw new Error("no");
  });
  await using consumer = queue.consume(runs.handler, { maxAttempts: 2, backoff: 0 });
  await waitUntil(() => consumer.status().ended.dead === 1);
  await queue.redrive("a");
  await waitUntil(() => consumer.status().ended.dead === 2);
  const fences = [receipt!.sequence * 1024 + 1, ...runs.all.map(({ fence }) => fence)];
  assertEquals(fences.length, 5);
  for (let n = 1; n < fences.length; n++) assertGreater(fences[n], fences[n - 1]);
});

Deno.test("JobConsumer that lost a job's lease runs it again when it is delivered to it again, though the first run hangs", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 2_000 });
  const gate = Promise.withResolvers<void>();
  const runs = new RecordedRuns(() => {
    if (runs.all.length > 1) return;
    standStill(3_000);
    return gate.promise;
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 2 });
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().ended.completed === 1);
  gate.resolve();
  await waitUntil(() => consumer.status().ended.released === 1);
  assertEquals(runs.ids, ["a", "a"]);
  assertGreater(runs.all[1].fence, runs.all[0].fence);
});

Deno.test("JobConsumer uses a shorter lease as soon as it is announced, also for what it runs", async () => {
  await using server = await startNatsServer();
  await using one = new QueueStores(server.url);
  await using two = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const runs = new RecordedRuns(() => new Promise((resolve) => setTimeout(resolve, 12_000)));
  await using a = one.jobQueue("checks").consume(runs.handler);
  await using b = two.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => a.status().state === "serving" && b.status().state === "serving");
  await one.publishJob("checks", 1, { id: "a" });
  await runs.started(1);
  const { config } = await foreign.api<{ config: { filter_subject: string } }>("CONSUMER.INFO.WQ_checks.normal");
  await foreign.api(`CONSUMER.CREATE.WQ_checks.normal.${config.filter_subject}`, {
    stream_name: "WQ_checks",
    config: { ...config, ack_wait: 5_000e6 },
    action: "update",
  });
  foreign.connection.publish("wqevt.checks.changed", "");
  await waitUntil(() => a.status().ended.completed + b.status().ended.completed === 1);
  assertEquals([runs.all.length, a.status().active, b.status().active], [1, 0, 0]);
});

Deno.test("JobConsumer counts an extended lease from when it asked for it, not from its confirmation", async () => {
  const lease = 2_000;
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  await using proxy = new Proxy(relay.url);
  await using stores = new QueueStores(proxy.url);
  const queue = stores.jobQueue("checks", { lease });
  const seen: string[] = [];
  const timers: ReturnType<typeof setTimeout>[] = [];
  const over = Promise.withResolvers<void>();
  const after = (ms: number, then: () => void) => timers.push(setTimeout(then, ms));
  await using consumer = queue.consume(async ({ signal }) => {
    // One sign of life reaches the server, and its confirmation is late.
    proxy.tampering.lose = (_, payload) => {
      if (!payload.startsWith("+WPI")) return false;
      if (timers.length > 0) return true;
      relay.hold("down");
      after(lease * 0.4, () => relay.release("down"));
      // Counted from the confirmation it would be held for longer than this.
      after(lease * 1.25, () => over.resolve(void seen.push("late")));
      return false;
    };
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(void seen.push("aborted"))));
  });
  await queue.publish(1, { id: "a" });
  await over.promise;
  timers.forEach(clearTimeout);
  assertEquals(seen, ["aborted", "late"]);
  await consumer.stop({ deadline: 0 });
});
