import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { idOf } from "../../../src/queue/format/queue_names.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";
import type { Job, JobQueue } from "../../../mod.ts";

/** A queue that another client publishes to. */
async function shareQueue(): Promise<AsyncDisposable & { queue: JobQueue; foreign: ForeignClient }> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const stores = stack.use(new QueueStores(server.url));
  const foreign = stack.use(await ForeignClient.connect(server.url));
  const queue = stores.jobQueue("checks");
  await queue.open();
  const held = stack.move();
  return { queue, foreign, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

Deno.test("JobConsumer runs a bare message of another client as a job", async () => {
  await using shared = await shareQueue();
  const { queue, foreign } = shared;
  // A plain publish, without a reply.
  foreign.connection.publish("wq.checks.ready.high.a1", '{"url":"u"}');
  await foreign.connection.flush();
  const seen = Promise.withResolvers<Job>();
  await using _consumer = queue.consume((job) => seen.resolve(job));
  const job = await within(seen.promise);
  assertEquals([job.id, job.queue, job.data, job.priority], ["a1", "checks", { url: "u" }, "high"]);
  assertEquals([job.attempt, job.maxAttempts, job.deliveries], [1, 5, 1]);
  assertEquals(job.headers, {});
  assertLess(Math.abs(job.enqueuedAt.getTime() - Date.now()), 5_000);
});

Deno.test("JobConsumer goes by the headers of another client's job", async () => {
  await using shared = await shareQueue();
  const { queue, foreign } = shared;
  await foreign.publish("wq.checks.ready.normal.a1", "1", {
    "Job-Attempt": "2",
    "Job-Max-Attempts": "3",
    "Job-Backoff": "[1,20]",
    "Job-Enqueued-At": "2020-01-02T03:04:05Z",
    traceparent: "t",
  });
  const jobs: Job[] = [];
  await using consumer = queue.consume((job) => {
    jobs.push(job);
    throw new Error("no");
  });
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals(jobs.map(({ attempt, maxAttempts }) => [attempt, maxAttempts]), [[2, 3], [3, 3]]);
  assertEquals(jobs.map(({ enqueuedAt }) => enqueuedAt.toISOString()), Array(2).fill("2020-01-02T03:04:05.000Z"));
  assertEquals(jobs.map(({ headers }) => headers), [{ traceparent: "t" }, { traceparent: "t" }]);
});

Deno.test("JobConsumer takes malformed headers of another client for absent", async () => {
  await using shared = await shareQueue();
  const { queue, foreign } = shared;
  await foreign.publish("wq.checks.ready.normal.a1", "1", {
    "Job-Attempt": "many",
    "Job-Max-Attempts": "-1",
    "Job-Timeout": "soon",
    "Job-Backoff": "{base",
    "Job-Enqueued-At": "yesterday",
    "Job-Expires-At": "tomorrow",
    "Job-Keep-Result": "x",
    "Job-Replaces": "y",
  });
  const seen = Promise.withResolvers<Job>();
  await using consumer = queue.consume((job) => seen.resolve(job));
  const { attempt, maxAttempts } = await within(seen.promise);
  assertEquals([attempt, maxAttempts], [1, 5]);
  await waitUntil(() => consumer.status().ended.completed === 1);
});

Deno.test("JobConsumer takes counts of another client that are no whole numbers for absent", async () => {
  await using shared = await shareQueue();
  const { queue, foreign } = shared;
  await queue.publish(1, { id: "ours", key: "k" });
  const counts = ["Job-Attempt", "Job-Max-Attempts", "Job-Deliveries", "Job-Replaces"];
  await foreign.publish("wq.checks.keyed.3.a1", "1", Object.fromEntries(counts.map((name) => [name, "0.5"])));
  await foreign.publish("wq.checks.ready.normal.a2", "1", Object.fromEntries(counts.map((name) => [name, "1e300"])));
  const seen: unknown[] = [];
  await using consumer = queue.consume(({ id, attempt, maxAttempts, deliveries }) => {
    if (id !== "ours") seen.push([id, attempt, maxAttempts, deliveries]);
  }, { concurrency: 3 });
  await waitUntil(() => consumer.status().ended.completed === 3);
  assertEquals(seen.toSorted(), [["a1", 1, 5, 1], ["a2", 1, 5, 1]]);
});

Deno.test("JobConsumer survives the largest numbers in another client's headers", async () => {
  await using shared = await shareQueue();
  const { queue, foreign } = shared;
  await foreign.publish("wq.checks.ready.normal.a1", "1", { "Job-Timeout": "1e300", "Job-Backoff": "1e300" });
  let aborted: boolean | undefined;
  await using consumer = queue.consume(async (job) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    aborted = job.signal.aborted;
    throw new Error("no");
  });
  await waitUntil(() => consumer.status().ended.retried === 1);
  assertEquals(aborted, false);
  assertEquals((await queue.get("a1"))?.state, "delayed");
});

Deno.test("JobConsumer keeps its connection when another client's job has too long an id to be put back", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.open();
  foreign.connection.publish(`wq.checks.ready.normal.${"i".repeat(4_040)}`, "1");
  await foreign.connection.flush();
  await using consumer = queue.consume(({ id }) => {
    if (id !== "fine") throw new Error("no");
  });
  await waitUntil(() => consumer.status().ended.released === 1);
  await queue.publish(1, { id: "fine" });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(stores.connectionCounters().disconnects, 0);
  assertMatch(stores.log.at(-1)!, /over the server's control line/);
});

Deno.test("JobConsumer sends a body that is not JSON to the dead letters at once, as it came", async () => {
  await using shared = await shareQueue();
  const { queue, foreign } = shared;
  const bodies = [new TextEncoder().encode("{oops"), new Uint8Array(), Uint8Array.of(0xff, 0xfe, 0)];
  for (const [index, body] of bodies.entries()) await foreign.publish(`wq.checks.ready.normal.bad${index}`, body);
  await foreign.publish("wq.checks.ready.normal.good", '"ü"');
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => consumer.status().ended.completed + consumer.status().ended.dead === 4);
  assertEquals(runs.ids, ["good"]);
  const letters = await Array.fromAsync(queue.deadLetters());
  assertEquals(letters.map(({ id }) => id).toSorted(), ["bad0", "bad1", "bad2"]);
  for (const letter of letters) {
    assertMatch(letter.reason, /^The job's body is not JSON: ./);
    assertEquals(letter.data, undefined);
    assert(letter.diedAt instanceof Date);
  }
  assertEquals(
    (await foreign.messages("WQDEAD_checks")).find(({ subject }) => subject.endsWith(".bad0"))?.body,
    "{oops",
  );
});

Deno.test("JobQueue.get, cancel and discard find a job of another client by the id that its handler would see", async () => {
  await using shared = await shareQueue();
  const { queue, foreign } = shared;
  await foreign.publish("wq.checks.ready.normal.a1", "{oops");
  assertEquals(await queue.get("a1").then((info) => [info?.state, info?.data]), ["ready", undefined]);
  assertEquals(await queue.cancel("a1"), true);
  assertEquals(await queue.get("a1"), null);
});

Deno.test("idOf leaves a token as it is that no id of ours makes", () => {
  for (const token of ["=Zm9v", "==", "=a", "@=Zm9v"]) assertEquals(idOf(token), token);
  assertEquals([idOf("=YS4x"), idOf("@=YS4x")], ["a.1", "@a.1"]);
});
