import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { type Job, type JobConsumer, RetryJobError, UnrecoverableJobError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobConsumer runs a job that fails again, with the number of each attempt, until it succeeds", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns(({ attempt }) => {
    if (attempt < 4) throw new Error(`attempt ${attempt}`);
  });
  await using consumer = queue.consume(runs.handler, { backoff: 0 });
  await queue.publish({ n: 1 }, { id: "a" });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ attempt, deliveries }) => [attempt, deliveries]), [[1, 1], [2, 1], [3, 1], [4, 1]]);
  assert(runs.all.every(({ id, data }) => id === "a" && (data as { n: number }).n === 1));
  assertEquals(consumer.status().ended.retried, 3);
  const counts = await queue.counts();
  assertEquals([counts?.active, counts?.delayed, counts?.dead], [0, 0, 0]);
});

Deno.test("JobConsumer keeps all that belongs to a job over its retries", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const seen: unknown[] = [];
  await using consumer = queue.consume((job: Job) => {
    const { id, data, maxAttempts, enqueuedAt, priority, headers } = job;
    seen.push({ id, data, maxAttempts, enqueuedAt: enqueuedAt.getTime(), priority, headers });
    if (job.attempt < 3) throw new Error("no");
  });
  const options = {
    id: "ä.b",
    priority: "low",
    maxAttempts: 7,
    backoff: [0, 20],
    headers: { h: "ü", empty: "" },
  } as const;
  await queue.publish("data", options);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(seen.length, 3);
  assertEquals(seen[1], seen[0]);
  assertEquals(seen[2], seen[0]);
  const first = seen[0] as { maxAttempts: number; headers: unknown };
  assertEquals([first.maxAttempts, first.headers], [7, { h: "ü", empty: "" }]);
});

Deno.test("JobConsumer makes a retry a new message that replaces the old one, with its attempt in the headers", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish({ n: 1 }, { id: "a", priority: "high", maxAttempts: 9, headers: { h: "v" } });
  const [first] = await foreign.messages("WQ_checks");
  await using consumer = queue.consume(() => {
    throw new Error("no");
  }, { backoff: 60_000 });
  await waitUntil(() => consumer.status().ended.retried === 1);
  const [moved, ...others] = await foreign.messages("WQ_checks");
  assertEquals(others, []);
  assertEquals([moved.subject, moved.body], ["wq.checks.later.high.a", '{"n":1}']);
  const { headers } = moved;
  assertEquals(headers["Job-Attempt"], "2");
  assertEquals(headers["Job-Replaces"], "1");
  assertEquals(headers["Job-Max-Attempts"], "9");
  assertEquals(headers.h, "v");
  assertEquals(headers["Nats-Schedule-Target"], "wq.checks.ready.high.a");
  assertEquals(headers["Job-Nonce"], first.headers["Nats-Msg-Id"]);
  assertLess(Math.abs(Date.parse(headers["Job-Enqueued-At"]) - Date.parse(first.time)), 10_000);
  assertEquals(headers["Nats-Expected-Last-Subject-Sequence"], "1");
  assertEquals(headers["Nats-Expected-Last-Subject-Sequence-Subject"], "wq.checks.*.*.a");
  assertEquals(await queue.get("a").then((info) => [info?.state, info?.attempt]), ["delayed", 2]);
});

Deno.test("JobConsumer runs up to its maxAttempts, or the job's own, which come first", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns(() => {
    throw new Error("no");
  });
  await queue.publish(1, { id: "own 1", maxAttempts: 1 });
  await queue.publish(1, { id: "own 4", maxAttempts: 4 });
  await queue.publish(1, { id: "theirs" });
  {
    await using consumer = queue.consume(runs.handler, { maxAttempts: 2, backoff: 0 });
    await waitUntil(() => consumer.status().ended.dead === 3);
  }
  const attempts = (id: string) => runs.all.filter((run) => run.id === id).map(({ attempt }) => attempt);
  assertEquals(attempts("own 1"), [1]);
  assertEquals(attempts("own 4"), [1, 2, 3, 4]);
  assertEquals(attempts("theirs"), [1, 2]);
  // Five by default.
  await queue.publish(1, { id: "default" });
  await using consumer = queue.consume(runs.handler, { backoff: 0 });
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals(attempts("default"), [1, 2, 3, 4, 5]);
});

for (const key of [undefined, "k"]) {
  Deno.test(`JobConsumer does not count a RetryJobError of ${key ? "a job with a key" : "a job"}, however often`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks");
    const runs = new RecordedRuns(() => {
      if (runs.all.length <= 12) throw new RetryJobError({ delay: 0 });
      if (runs.all.length === 13) throw new Error("now it fails");
      if (runs.all.length === 14) throw new RetryJobError({ delay: 50 });
    });
    await using consumer = queue.consume(runs.handler, { maxAttempts: 2, maxDeliveries: 3, backoff: 0 });
    await queue.publish(1, { id: "a", key });
    await waitUntil(() => consumer.status().ended.completed === 1);
    assertEquals(runs.all.map(({ attempt }) => attempt), [...Array(13).fill(1), 2, 2]);
    assertEquals([consumer.status().ended.postponed, consumer.status().ended.retried], [13, 1]);
    assertGreater(runs.all[14].at - runs.all[13].at, 49);
    assertEquals(runs.all.map(({ postponed }) => postponed), [...Array(13).keys(), 12, 13]);
    const fences = runs.all.map(({ fence }) => fence);
    assertEquals(fences, fences.toSorted((a, b) => a - b));
  });
}

Deno.test("RetryJobError postpones a job by a second unless its handler says", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await using foreign = await ForeignClient.connect(server.url);
  let thrown = Infinity;
  const consumer: JobConsumer = queue.consume(() => {
    // There is no second run.
    void consumer.stop();
    thrown = Date.now();
    throw new RetryJobError();
  });
  await queue.publish(1, { id: "a" });
  await consumer.closed;
  assertEquals(consumer.status().ended.postponed, 1);
  // What its schedule makes of it has this header, too.
  let due = NaN;
  await waitUntil(async () => {
    due = Date.parse((await foreign.messages("WQ_checks"))[0]?.headers["Job-Due"] ?? "");
    return !Number.isNaN(due);
  });
  // The server's clock is known to a few milliseconds.
  assertGreater(due - thrown, 950);
  assertEquals(new RetryJobError().delay, 1_000);
});

Deno.test("JobConsumer buries a job at once when its handler throws UnrecoverableJobError", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns(() => {
    throw new UnrecoverableJobError("no such customer");
  });
  await using consumer = queue.consume(runs.handler);
  await queue.publish(1, { id: "a", maxAttempts: 9 });
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals(runs.all.length, 1);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.reason, letter.attempts], ["a", "no such customer", 1]);
});

Deno.test("JobConsumer copes with whatever a handler throws", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const thrown: [value: unknown, reason: string][] = [
    ["text", "text"],
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
    [Symbol("s"), "Symbol(s)"],
    [new Error(""), "Error"],
    [new TypeError("line\r\nbreak: ü\ud800"), "line\r\nbreak: ü\ufffd"],
    [Object.create(null), "[object Object]"],
    [Object.assign(new Error("x"), { message: 42 }), "42"],
    [new Error("long".repeat(5_000)), "long".repeat(500)],
  ];
  await using consumer = queue.consume(({ data }) => {
    throw thrown[data][0];
  }, { maxAttempts: 1, concurrency: 3 });
  for (const index of thrown.keys()) await queue.publish(index, { id: String(index) });
  await waitUntil(() => consumer.status().ended.dead === thrown.length);
  const letters = await Array.fromAsync(queue.deadLetters());
  const reasons = letters.toSorted((a, b) => Number(a.id) - Number(b.id)).map(({ reason }) => reason);
  assertEquals(reasons, thrown.map(([, reason]) => reason));
});

Deno.test("JobConsumer runs a handler that rejects late, or is not async, like any other", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  let runs = 0;
  await using consumer = queue.consume(() => {
    if (++runs === 1) throw new Error("at once");
    if (runs === 2) return Promise.reject(new Error("later"));
    return "done";
  }, { backoff: 0 });
  await queue.publish(1);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals([runs, consumer.status().ended.retried], [3, 2]);
});

Deno.test("A moved copy of a job without settings of its own has the nonce of its publish, too", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a" });
  const [first] = await foreign.messages("WQ_checks");
  await using consumer = queue.consume(() => {
    throw new Error("no");
  }, { backoff: 60_000 });
  await waitUntil(() => consumer.status().ended.retried === 1);
  const [moved] = await foreign.messages("WQ_checks");
  assertEquals(moved.headers["Job-Nonce"], first.headers["Nats-Msg-Id"]);
});

Deno.test("JobConsumer leaves the newer job that another client has published under the same id and message id while the first runs", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  await foreign.update("WQ_checks", { duplicate_window: 100_000_000 });
  const publish = (data: string) =>
    foreign.publish("wq.checks.ready.normal.a", JSON.stringify(data), { "Nats-Msg-Id": "a" });
  await publish("old");
  const runs = new RecordedRuns(async ({ data }) => {
    if (data !== "old") return;
    // The server takes it for a duplicate for a tenth of a second.
    await waitUntil(async () => (await publish("new")).duplicate !== true);
    throw new Error("It fails");
  });
  await using consumer = queue.consume(runs.handler, { backoff: 100, prefetch: 0 });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ attempt, data }) => `${attempt}: ${data}`), ["1: old", "1: new"]);
});
