import { assert, assertEquals, assertRejects } from "@std/assert";
import type { JobEvent } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { openStores } from "../../_support/open_stores.ts";
import { untilHeard } from "../_until_heard.ts";

Deno.test("Job.progress is sent at once to listeners, and its last value is kept", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const told: Extract<JobEvent, { type: "progress" }>[] = [];
  const following = (async () => {
    for await (const event of queue.events()) {
      if (event.type === "progress") told.push(event);
      if (event.type === "completed") break;
    }
  })();
  await untilHeard(server, "wqevt.checks.progress.a");
  const answers: (true | null)[] = [];
  await using _consumer = worker.jobQueue("checks").consume(async (job) => {
    for (const value of [10, { step: "two" }, null]) answers.push(await job.progress(value));
  });
  await queue.publish(1, { id: "a" });
  await following;
  assertEquals(answers, [true, true, true]);
  assertEquals((await queue.progress("a"))?.value, null, "the last one");
  assert((await queue.progress("a"))!.at <= new Date());
  assertEquals(await queue.progress("b"), null);
  assertEquals(told.map(({ id, attempt, value }) => [id, attempt, value]), [
    ["a", 1, 10],
    ["a", 1, { step: "two" }],
    ["a", 1, null],
  ]);
  const kept = stores.kvBucket("wq_checks");
  assertEquals((await kept.get("a.progress"))?.json(), null);
});

Deno.test("Job.progress refuses what is no JSON value, which fails the attempt like any error", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const refused: string[] = [];
  await using consumer = queue.consume(async (job) => {
    for (const value of [undefined, () => {}, Symbol("s"), 1n]) {
      const error = await assertRejects(() => job.progress(value), TypeError, "'value' must be a JSON value");
      refused.push(error.message.slice(error.message.lastIndexOf(" ") + 1));
    }
  });
  await queue.publish(1);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(refused, ["undefined", "function", "symbol", "bigint"]);
});

Deno.test("Job.progress that is not awaited fails no attempt, and leaves the process alone", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(async (job) => {
    for (const value of [undefined, 1n, "x".repeat(2_000_000)]) job.progress(value);
    assertEquals(await job.progress(50), true);
  });
  await queue.publish(1);
  await waitUntil(() => consumer.status().ended.completed === 1);
});

Deno.test("Job.progress is null while the server is down, and the handler continues", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const started = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const answers: (true | null)[] = [];
  await using consumer = queue.consume(async (job) => {
    started.resolve();
    await gate.promise;
    answers.push(await job.progress(50));
  });
  await queue.publish(1);
  await within(started.promise);
  await server.stop();
  await waitUntil(() => stores.connectionStatus() === "reconnecting");
  gate.resolve();
  await waitUntil(() => answers.length === 1);
  assertEquals(answers, [null]);
  await server.restart();
  await waitUntil(() => consumer.status().ended.completed === 1);
});
