import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { JetStreamStoreError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

/** Publishes jobs that all become dead letters. */
async function bury(stores: QueueStores, name: string, ids: string[]): Promise<void> {
  const queue = stores.jobQueue(name);
  await queue.publishMany(ids.map((id) => ({ data: { id }, id })));
  await using consumer = queue.consume(({ id }) => {
    throw new Error(`no ${id}`);
  }, { maxAttempts: 1, concurrency: 50 });
  await waitUntil(() => consumer.status().ended.dead === ids.length, 30_000);
}

Deno.test("A dead letter has the reason, the stack, the attempts, the times, the data and the headers", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using reader = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const before = Date.now();
  await queue.publish({ url: "u" }, {
    id: "a.b",
    priority: "high",
    maxAttempts: 3,
    headers: { traceparent: "t", x: "ü" },
  });
  await using consumer = queue.consume(function failingHandler({ attempt }) {
    throw new RangeError(`broken ${attempt}`);
  }, { backoff: 20 });
  await waitUntil(() => consumer.status().ended.dead === 1);
  const [letter, ...others] = await Array.fromAsync(reader.jobQueue("checks").deadLetters());
  assertEquals(others, []);
  const { stack, enqueuedAt, diedAt, ...rest } = letter;
  assertEquals(rest, {
    id: "a.b",
    data: { url: "u" },
    reason: "broken 3",
    attempts: 3,
    headers: { traceparent: "t", x: "ü" },
    sequence: 1,
  });
  assertStringIncludes(stack!, "RangeError: broken 3");
  assertStringIncludes(stack!, "failingHandler");
  assertLess(Math.abs(enqueuedAt.getTime() - before), 10_000);
  assertGreater(diedAt.getTime(), enqueuedAt.getTime());
  const [raw] = await foreign.messages("WQDEAD_checks");
  assertEquals([raw.subject, raw.body], ["wqdead.checks.=YS5i", '{"url":"u"}']);
  assertEquals(await queue.get("a.b"), null);
});

Deno.test("A dead letter is kept for deadLetterTtl, thirty days by default, and is the newest one of its id", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await bury(stores, "checks", ["a", "b"]);
  assertEquals((await foreign.stream("WQDEAD_checks"))?.config.max_age, 30 * 86_400 * 1e9);
  await bury(stores, "checks", ["a"]);
  const letters = await Array.fromAsync(stores.jobQueue("checks").deadLetters());
  assertEquals(letters.map(({ id }) => id), ["a", "b"]);
  const short = stores.jobQueue("checks", { deadLetterTtl: 60_000 });
  await short.publish(1, { id: "c" });
  await using consumer = short.consume(() => {
    throw new Error("no");
  }, { maxAttempts: 1 });
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals((await foreign.stream("WQDEAD_checks"))?.config.max_age, 60e9);
});

Deno.test("JobQueue.deadLetters lists a thousand letters, newest first, by page, from a process that consumes nothing", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using reader = new QueueStores(server.url);
  await bury(stores, "checks", Array.from({ length: 1_000 }, (_, n) => `job${n}`));
  const queue = reader.jobQueue<{ id: string }>("checks");
  const letters = await Array.fromAsync(queue.deadLetters());
  assertEquals(letters.length, 1_000);
  assertEquals(new Set(letters.map(({ id }) => id)).size, 1_000);
  assert(letters.every(({ id, data, reason }) => data?.id === id && reason === `no ${id}`));
  // One that is stored at its second try may have died before those behind it.
  assert(letters.every(({ sequence }, index) => index === 0 || sequence < letters[index - 1].sequence));
  assertEquals((await queue.counts())?.dead, 1_000);
  // By page: the first ones cost few messages.
  const before = (await server.monitor("/varz"))!.out_msgs as number;
  const first: string[] = [];
  for await (const { id } of queue.deadLetters()) if (first.push(id) === 5) break;
  assertEquals(first, letters.slice(0, 5).map(({ id }) => id));
  assertLess((await server.monitor("/varz"))!.out_msgs as number - before, 300);
});

Deno.test("JobQueue.deadLetters lists what is left when most letters are gone", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const ids = Array.from({ length: 700 }, (_, n) => `job${n}`);
  await bury(stores, "checks", ids);
  const queue = stores.jobQueue("checks");
  await Promise.all(ids.filter((_, n) => n % 100 !== 7).map((id) => queue.discard(id)));
  const letters = await Array.fromAsync(queue.deadLetters());
  assertEquals(letters.map(({ id }) => id).toSorted(), ids.filter((_, n) => n % 100 === 7).toSorted());
});

Deno.test("JobQueue.deadLetters is empty for a queue without letters, or without a stream", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  assertEquals(await Array.fromAsync(stores.jobQueue("nowhere").deadLetters()), []);
  await stores.publishJob("checks", 1);
  assertEquals(await Array.fromAsync(stores.jobQueue("checks").deadLetters()), []);
});

Deno.test("JobQueue.deadLetters throws when the list breaks off", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url, { timeout: 1_500 });
  await stores.connect();
  await using others = new QueueStores(server.url);
  await bury(others, "checks", Array.from({ length: 600 }, (_, n) => `job${n}`));
  let seen = 0;
  const error = await assertRejects(async () => {
    for await (const _letter of stores.jobQueue("checks").deadLetters()) if (++seen === 10) await server.kill();
  }, JetStreamStoreError);
  assertEquals((error as JetStreamStoreError).code, "disconnected");
  assertGreater(seen, 9);
  assertLess(seen, 600);
});

Deno.test("JobQueue.discard removes a letter for good, and returns whether there was one", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using other = new QueueStores(server.url);
  await bury(stores, "checks", ["a.b", "c"]);
  const queue = other.jobQueue("checks");
  assertEquals(await queue.discard("a.b"), true);
  assertEquals(await queue.discard("a.b"), false);
  assertEquals(await queue.discard("nobody"), false);
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["c"]);
  assertEquals(await other.jobQueue("nowhere").discard("a"), false);
});

Deno.test("JobQueue.deadLetters continues before the sequence of a dead letter, and deadLetter looks one up", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  for (let n = 0; n < 4; n++) await queue.publish(n, { id: `job${n}`, maxAttempts: 1 });
  const worker = queue.consume(() => {
    throw new Error("no");
  });
  await waitUntil(() => worker.status().ended.dead === 4);
  await worker.stop();
  const ids = async (before?: number) => {
    return (await Array.fromAsync(queue.deadLetters({ before }))).map(({ id, sequence }) => ({ id, sequence }));
  };
  const all = await ids();
  assertEquals(all.map(({ id }) => id).sort(), ["job0", "job1", "job2", "job3"]);
  assertEquals(await ids(all[1].sequence), all.slice(2));
  assertEquals(await ids(all[3].sequence), []);
  assertEquals((await queue.deadLetter("job2"))?.reason, "no");
  assertEquals(await queue.deadLetter("job9"), null);
  assertThrows(() => queue.deadLetters({ before: 0 }), RangeError, "'before' must be a whole number");
});

Deno.test("JobConsumer acknowledges no job before its dead letter is stored", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using others = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  let lost = 0;
  await using consumer = queue.consume(() => {
    proxy.tampering.lose = (subject) => subject.startsWith("wqdead.") && ++lost > 0;
    throw new Error("no");
  }, { maxAttempts: 1 });
  await queue.publish(1, { id: "a" });
  await waitUntil(() => lost > 1);
  const other = others.jobQueue("checks");
  assertEquals([(await other.get("a"))?.state, (await other.counts())?.dead], ["active", 0]);
  proxy.tampering.lose = undefined;
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertEquals([await other.get("a"), (await other.counts())?.dead], [null, 1]);
});
