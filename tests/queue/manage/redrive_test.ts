import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";
import type { PublishOptions } from "../../../mod.ts";

async function bury(stores: QueueStores, jobs: PublishOptions[], count = jobs.length): Promise<void> {
  const queue = stores.jobQueue("checks");
  await queue.publishMany(jobs.map((options) => ({ data: `of ${options.id}`, ...options })));
  await using consumer = queue.consume(() => {
    throw new Error("no");
  }, { maxAttempts: 2, backoff: 0, concurrency: 20 });
  await waitUntil(() => consumer.status().ended.dead === count);
}

Deno.test("JobQueue.redrive makes a dead letter a job again, whose attempts start anew, from another process", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  await bury(stores, [{ id: "a.b", priority: "high", headers: { h: "v" }, maxAttempts: 3 }, { id: "c" }]);
  const queue = admin.jobQueue("checks");
  assertEquals(await queue.redrive("a.b"), 1);
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["c"]);
  const info = await queue.get("a.b");
  assertEquals([info?.state, info?.priority, info?.attempt, info?.data], ["ready", "high", 1, "of a.b"]);
  const seen: unknown[] = [];
  await using consumer = stores.jobQueue("checks").consume((job) => {
    seen.push([job.id, job.attempt, job.maxAttempts, job.headers, job.deliveries]);
    if (job.attempt === 1) throw new Error("once more");
  }, { backoff: 0 });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(seen, [["a.b", 1, 3, { h: "v" }, 1], ["a.b", 2, 3, { h: "v" }, 1]]);
  assertEquals(await queue.redrive("a.b"), 0);
  assertEquals(await queue.redrive("nobody"), 0);
});

Deno.test("JobQueue.redrive of all redrives every letter, also those of a keyed or once delayed job", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const ids = Array.from({ length: 300 }, (_, n) => `job${n}`);
  const ways = [{}, { priority: "low" }, { delay: 20 }, { ttl: 60_000 }] as const;
  await bury(stores, ids.map((id, n) => ({ id, ...ways[n % ways.length] })));
  const queue = stores.jobQueue("checks");
  assertEquals(await queue.redrive("all"), 300);
  assertEquals((await queue.counts())?.dead, 0);
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler, { concurrency: 20 });
  await waitUntil(() => consumer.status().ended.completed === 300);
  assertEquals(runs.ids.toSorted(), ids.toSorted());
  assert(runs.all.every(({ attempt }) => attempt === 1));
  assertEquals(await queue.redrive("all"), 0);
});

Deno.test("JobQueue.redrive is as unique as any publish: one whose id is in the queue stays a dead letter", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await bury(stores, [{ id: "a" }, { id: "b" }]);
  const queue = stores.jobQueue("checks");
  await queue.publish("another", { id: "a", delay: 60_000 });
  assertEquals(await queue.redrive("a"), 0);
  assertEquals(await queue.redrive("all"), 1);
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["a"]);
  assertEquals((await queue.get("a"))?.data, "another");
});

Deno.test("JobQueue.redrive of all leaves a letter that is too large for a job, and continues with the others", async () => {
  await using server = await startNatsServer({ config: "max_payload: 65536" });
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await bury(stores, [{ id: "first" }]);
  await foreign.connection.request("wq.checks.ready.normal.full", JSON.stringify("x".repeat(65_534)), {
    timeout: 10_000,
  });
  await bury(stores, [{ id: "last" }], 2);
  await assertRejects(() => queue.redrive("full"), RangeError, "max_payload");
  assertEquals(await queue.redrive("all"), 2);
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["full"]);
  assertMatch(stores.log.join("\n"), /Job full of queue checks stays a dead letter/);
});

Deno.test("JobQueue.redrive, by two at once or with lost answers, makes no job twice", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(server.url);
  await using lossy = new QueueStores(proxy.url);
  const ids = Array.from({ length: 20 }, (_, n) => `job${n}`);
  await bury(stores, ids.map((id) => ({ id })));
  let answers = 0;
  await lossy.jobQueue("checks").open();
  proxy.tampering.drop = (_subject, payload) =>
    /"stream":\s*"WQ_|wrong last sequence/.test(payload) && ++answers % 10 === 0;
  const redriven = await Promise.all([
    lossy.jobQueue("checks").redrive("all"),
    stores.jobQueue("checks").redrive("all"),
    stores.jobQueue("checks").redrive("job3"),
  ]);
  assert(redriven.every((count) => count !== null), `redriven: ${redriven}`);
  assertEquals(redriven.reduce<number>((sum, count) => sum + count!, 0), 20, `redriven: ${redriven}`);
  const counts = await stores.jobQueue("checks").counts();
  assertEquals([counts?.ready.normal, counts?.dead], [20, 0]);
  const runs = new RecordedRuns();
  await using consumer = stores.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed === 20);
  assertEquals(runs.ids.toSorted(), ids.toSorted());
});

Deno.test("A redriven job that fails again is a dead letter again", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await bury(stores, [{ id: "a" }]);
  const queue = stores.jobQueue("checks");
  for (let round = 0; round < 3; round++) {
    assertEquals(await queue.redrive("a"), 1);
    await using consumer = queue.consume(() => {
      throw new Error(`round ${round}`);
    }, { maxAttempts: 2, backoff: 0 });
    await waitUntil(() => consumer.status().ended.dead === 1);
    const [letter, ...others] = await Array.fromAsync(queue.deadLetters());
    assertEquals([letter.reason, letter.attempts, others.length], [`round ${round}`, 2, 0]);
  }
});

Deno.test("JobQueue.redrive is 1 also when the job has died again before its old dead letter was removed", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await bury(stores, [{ id: "a" }]);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(() => {
    throw new Error("again");
  }, { maxAttempts: 1 });
  for (let round = 1; round <= 20; round++) {
    assertEquals(await queue.redrive("a"), 1);
    await waitUntil(() => consumer.status().ended.dead === round);
    // The job leaves the queue behind its dead letter.
    await waitUntil(async () => (await queue.counts())?.active === 0);
  }
});

Deno.test("JobQueue.redrive runs a job once when the connection breaks and the job has died again meanwhile", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(server.url);
  await using lossy = new QueueStores(proxy.url);
  await bury(stores, [{ id: "a" }, { id: "b" }]);
  const queue = stores.jobQueue("checks");
  await lossy.jobQueue("checks").open();
  await using consumer = queue.consume(() => {
    throw new Error("again");
  }, { maxAttempts: 1 });
  for (const [dead, which, expected] of [[1, "a", 1], [3, "all", 2]] as const) {
    let lost = false;
    proxy.tampering.lose = (subject) => {
      if (lost || !subject.startsWith("$JS.API.STREAM.MSG.DELETE.WQDEAD_")) return false;
      return lost = true;
    };
    const redriven = lossy.jobQueue("checks").redrive(which);
    await waitUntil(() => lost && consumer.status().ended.dead >= dead - expected + 1);
    proxy.cut();
    assertEquals(await redriven, expected);
    await waitUntil(() => consumer.status().ended.dead === dead);
    await waitUntil(async () => (await queue.counts())?.active === 0);
  }
  assertEquals(consumer.status().ended.dead, 3);
  assertEquals(await Array.fromAsync(queue.deadLetters(), ({ reason }) => reason), ["again", "again"]);
});

Deno.test("JobQueue.redrive counts a job that died again before the answer to its publish was there, and the connection breaks", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(server.url);
  await using lossy = new QueueStores(proxy.url);
  await bury(stores, [{ id: "a" }]);
  await lossy.jobQueue("checks").open();
  await using consumer = stores.jobQueue("checks").consume(() => {
    throw new Error("again");
  }, { maxAttempts: 1 });
  for (const [dead, which] of [[1, "a"], [2, "all"]] as const) {
    let isSent = false;
    proxy.tampering.lose = (subject) => (isSent ||= subject.startsWith("wq.checks.ready."), false);
    proxy.tampering.drop = () => isSent;
    const redriven = lossy.jobQueue("checks").redrive(which);
    await waitUntil(() => consumer.status().ended.dead === dead);
    proxy.tampering.lose = proxy.tampering.drop = undefined;
    proxy.cut();
    assertEquals(await redriven, 1);
    assertEquals(consumer.status().ended.dead, dead);
  }
});

Deno.test("JobQueue.redrive makes no job of a letter that was discarded before the next attempt, after a first one was lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(server.url);
  await using lossy = new QueueStores(proxy.url);
  await bury(stores, [{ id: "a" }, { id: "b" }]);
  const queue = stores.jobQueue("checks");
  await lossy.jobQueue("checks").open();
  for (const [id, which] of [["a", "a"], ["b", "all"]] as const) {
    let isSent = false;
    proxy.tampering.lose = (subject) => {
      isSent ||= subject === `wq.checks.ready.normal.${id}`;
      return isSent;
    };
    const redriven = lossy.jobQueue("checks").redrive(which);
    await waitUntil(() => isSent);
    assertEquals(await queue.discard(id), true);
    proxy.tampering.lose = undefined;
    proxy.cut();
    assertEquals(await redriven, 0);
    assertEquals((await queue.counts())?.ready.normal, 0);
  }
});

Deno.test("A redriven job that has a key runs also where its queue had to be made again", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await bury(stores, [{ id: "a", key: "k" }, { id: "b", key: "l" }]);
  await foreign.api("STREAM.DELETE.WQ_checks");
  assertEquals(await admin.jobQueue("checks").redrive("a"), 1);
  const runs = new RecordedRuns();
  await using _consumer = stores.jobQueue("checks").consume(runs.handler);
  await runs.started(1);
  assertEquals(await admin.jobQueue("checks").redrive("all"), 1);
  await runs.started(2);
  assertEquals(runs.ids, ["a", "b"]);
});

Deno.test("JobQueue.redrive is 1 when the connection broke after its copy was stored, or after its dead letter was removed", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(server.url);
  await using lossy = new QueueStores(proxy.url);
  await bury(stores, [{ id: "a" }, { id: "b" }, { id: "c" }]);
  const queue = lossy.jobQueue("checks");
  await queue.open();
  let losing: RegExp | undefined;
  proxy.tampering.drop = (_subject, payload) => {
    if (!losing?.test(payload)) return false;
    losing = undefined;
    queueMicrotask(() => proxy.cut());
    return true;
  };
  const stored = /"stream":\s*"WQ_checks",\s*"seq"/;
  const removed = /msg_delete_response/;
  for (const [id, lost] of [["a", stored], ["b", removed]] as const) {
    losing = lost;
    assertEquals(await queue.redrive(id), 1, id);
    assertEquals(losing, undefined, `${id}: nothing was lost`);
  }
  losing = removed;
  assertEquals(await queue.redrive("all"), 1);
  const counts = await stores.jobQueue("checks").counts();
  assertEquals([counts?.ready.normal, counts?.dead], [3, 0]);
});

Deno.test("JobQueue.redrive of all leaves a letter alone that another has redriven since it was listed", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(server.url);
  await using late = new QueueStores(proxy.url);
  await bury(stores, [{ id: "a" }, { id: "b" }]);
  const queue = stores.jobQueue("checks");
  await late.jobQueue("checks").open();
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  // Both are redriven and completed as soon as the other has listed them.
  let others: Promise<unknown> | undefined;
  let held = false;
  proxy.tampering.lose = (subject) => {
    if (others === undefined && subject.startsWith("$JS.API.STREAM.MSG.GET.WQDEAD_")) others = queue.redrive("all");
    return others !== undefined && !held;
  };
  const counted = late.jobQueue("checks").redrive("all");
  await waitUntil(() => others !== undefined);
  assertEquals(await others, 2);
  await waitUntil(() => consumer.status().ended.completed === 2);
  held = true;
  assertEquals(await counted, 0);
  assertEquals(runs.ids.toSorted(), ["a", "b"]);
});

Deno.test("JobQueue.redrive makes a job that does not expire by the ttl of its first life", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await bury(stores, [{ id: "short-lived", ttl: 60_000, maxAttempts: 1 }]);
  assertEquals(await stores.jobQueue("checks").redrive("short-lived"), 1);
  const [{ headers }] = await foreign.messages("WQ_checks");
  assertEquals(headers["Job-Expires-At"], undefined);
});
