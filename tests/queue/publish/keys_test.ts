import { assert, assertEquals, assertGreater, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { type Job, RetryJobError } from "../../../mod.ts";
import { partitionOf } from "../../../src/queue/publish/publish_options.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";

Deno.test("partitionOf is FNV-1a of 32 bits over the UTF-8 bytes, modulo 16", () => {
  // Published vectors of the algorithm, and one of bytes above 127.
  const vectors: [string, number][] = [
    ["", 0x811c9dc5],
    ["a", 0xe40c292c],
    ["b", 0xe70c2de5],
    ["foobar", 0xbf9cf968],
  ];
  for (const [key, hash] of vectors) assertEquals(partitionOf(key), hash % 16, key);
  const bytes = new TextEncoder().encode("Grüße 💥");
  let hash = 0x811c9dc5n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x01000193n) & 0xffffffffn;
  assertEquals(partitionOf("Grüße 💥"), Number(hash % 16n));
});

Deno.test("JobQueue.publish puts a job with a key where any client finds it", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a.b", key: "foobar" });
  const messages = await foreign.messages("WQ_checks");
  assertEquals(messages.map(({ subject }) => subject.split(".").slice(0, 4)), [["wq", "checks", "keyed", "8"]]);
  assertEquals((await queue.get("a.b"))?.state, "ready");
  const consumers = await foreign.request<{ consumers: string[] }>("CONSUMER.NAMES.WQ_checks");
  const partitions = Array.from({ length: 16 }, (_, n) => `k${n}`);
  assertEquals(partitions.filter((name) => !consumers.consumers.includes(name)), []);
  const { config } = await foreign.request<{ config: Record<string, unknown> }>("CONSUMER.INFO.WQ_checks.k8");
  assertEquals([config.filter_subject, config.max_ack_pending], ["wq.checks.keyed.8.*", 1]);
});

Deno.test("JobQueue.publish refuses a key together with what would break its order", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  for (const option of [{ delay: 1_000 }, { runAt: new Date() }, { priority: "high" as const }]) {
    await assertRejects(() => queue.publish(1, { key: "k", ...option }), TypeError, "'key' must not come with");
  }
  for (const key of ["a\nb", " a", "x".repeat(2_000)]) {
    await assertRejects(() => queue.publish(1, { key }), RangeError, "'key'");
  }
});

Deno.test("Jobs of one key wait for the one that fails, and other keys run", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const ran: string[] = [];
  const others = Promise.withResolvers<void>();
  const handler = async ({ id, attempt }: Job) => {
    ran.push(`${id} ${attempt}`);
    if (id === "b2") others.resolve();
    if (id === "a1") await others.promise;
    if (id === "a1" && attempt < 3) throw new Error("not yet");
    if (id === "a2") throw new RetryJobError({ delay: 60_000 });
  };
  const ids = ["a1", "a2", "a3", "b1", "b2"];
  // "a" and "b" are in partitions of their own.
  assertEquals([partitionOf("a"), partitionOf("b")], [12, 5]);
  await queue.publishMany(ids.map((id) => ({ data: 1, id, key: id[0] })));
  await using consumer = queue.consume(handler, { concurrency: 5, backoff: 10, maxAttempts: 3 });
  await waitUntil(() => ran.includes("a2 1"));
  assertEquals(ran.filter((run) => run[0] === "a"), ["a1 1", "a1 2", "a1 3", "a2 1"]);
  assertEquals(ran.filter((run) => run[0] === "b"), ["b1 1", "b2 1"]);
  assertLess(ran.indexOf("b2 1"), ran.indexOf("a1 2"));
  await waitUntil(() => consumer.status().ended.postponed === 1);
  // Its followers wait as long as it does; without it, they go on.
  await queue.cancel("a2");
  await waitUntil(() => ran.includes("a3 1"));
});

Deno.test("A keyed job that is given back for want of room keeps its attempts and its order", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using others = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const gate = Promise.withResolvers<void>();
  const runs: { id: string; attempt: number; deliveries: number }[] = [];
  const handler = async ({ id, attempt, deliveries }: Job) => {
    runs.push({ id, attempt, deliveries });
    if (id === "slow") await gate.promise;
    if (id === "fails" && attempt === 1) throw new Error("once");
  };
  await queue.publish(1, { key: "there are partitions" });
  const options = { concurrency: 1, maxDeliveries: 1, maxAttempts: 2, backoff: 0 };
  await using one = queue.consume(handler, options);
  await waitUntil(async () => {
    const info = await foreign.request<{ num_waiting: number }>(`CONSUMER.INFO.WQ_checks.k${partitionOf("a")}`);
    return one.status().ended.completed === 1 && info.num_waiting === 1;
  });
  await queue.publish(1, { id: "slow" });
  await waitUntil(() => one.status().active === 1);
  // This worker has asked all partitions for jobs, and has no room: what comes goes back, and that counts as a delivery.
  const ids = ["fails", "second", "third"];
  for (const id of ids) await queue.publish(1, { id, key: "a" });
  await using two = others.jobQueue("checks").consume(handler, options);
  await waitUntil(() => two.status().ended.completed === 3);
  gate.resolve();
  assertGreater(runs[2].deliveries, options.maxDeliveries);
  assertEquals(runs.slice(2).map(({ id, attempt }) => [id, attempt]), [
    ["fails", 1],
    ["fails", 2],
    ["second", 1],
    ["third", 1],
  ]);
  assertEquals((await queue.counts())?.dead, 0);
});

Deno.test("A keyed job that fails for good is a dead letter, and its followers run", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const ran: string[] = [];
  const handler = ({ id, attempt }: Job) => {
    ran.push(`${id} ${attempt}`);
    if (id === "bad") throw new Error("always");
  };
  await queue.publish(1, { id: "bad", key: "k", maxAttempts: 3, backoff: 10 });
  await queue.publish(1, { id: "good", key: "k" });
  await using consumer = queue.consume(handler);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(ran, ["bad 1", "bad 2", "bad 3", "good 1"]);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.reason, letter.attempts], ["bad", "always", 3]);
  assertEquals(await queue.redrive("bad"), 1);
  await waitUntil(() => consumer.status().ended.dead === 2);
  assert(ran.includes("bad 3"), "it is a keyed job again");
});

Deno.test("A keyed job whose workers die with it is a dead letter, and its followers run", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 4_000 });
  await queue.publish(1, { id: "poison", key: "k" });
  await queue.publish(1, { id: "good", key: "k" });
  const deliveries: number[] = [];
  const handler = (job: Job): Promise<void> | void => {
    if (job.id !== "poison") return;
    deliveries.push(job.deliveries);
    return new Promise(() => {});
  };
  for (let death = 1; death <= 2; death++) {
    await using dying = queue.consume(handler, { maxDeliveries: 2 });
    await waitUntil(() => deliveries.length === death);
    assertEquals((await dying.stop({ deadline: 0 })).abandoned, ["poison"]);
  }
  await using consumer = queue.consume(handler, { maxDeliveries: 2 });
  await waitUntil(() => consumer.status().ended.completed === 1);
  // A delivery whose lease ends before its start is none of these.
  assertEquals(deliveries.length, 2);
  const [letter] = await Array.fromAsync(queue.deadLetters());
  assertEquals([letter.id, letter.attempts], ["poison", 0]);
  assertStringIncludes(letter.reason, "kill its workers");
});

Deno.test("A keyed job waits the longest possible time when the backoff function returns an immense number", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const ran: string[] = [];
  await using consumer = queue.consume(({ id }) => {
    ran.push(id);
    if (id === "a") throw new Error("no");
  }, { backoff: () => Number.MAX_VALUE });
  await queue.publish(1, { id: "a", key: "a" });
  await waitUntil(() => consumer.status().ended.retried === 1);
  // What the server cannot read it takes for a delay of nothing.
  for (let n = 0; n < 20; n++) await queue.publish(1, { id: `b${n}`, key: "b" });
  await waitUntil(() => consumer.status().ended.completed === 20);
  assertEquals(ran.filter((id) => id === "a").length, 1);
});

Deno.test("A keyed job that was given back without an answer is not taken from the worker that has it next", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = openStores(proxy.url);
  await using others = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = others.jobQueue("checks");
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const runs: string[] = [];
  await using failing = stores.jobQueue("checks").consume(async ({ id, attempt }) => {
    runs.push(`${id} ${attempt}, first worker`);
    if (id !== "a") return;
    await first.promise;
    throw new Error("once more");
    // It asks for nothing while it has this job, so that the other one is first in line.
  }, { backoff: 0, prefetch: 0 });
  await queue.publish(1, { id: "a", key: "k" });
  await waitUntil(() => runs.length === 1);
  await using other = queue.consume(async ({ id, attempt }) => {
    runs.push(`${id} ${attempt}, second worker`);
    await second.promise;
  }, { priorities: ["low", "keyed"] });
  await waitUntil(async () => {
    const info = await foreign.request<{ num_waiting: number }>(`CONSUMER.INFO.WQ_checks.k${partitionOf("k")}`);
    return info.num_waiting === 1;
  });
  let answers = 1;
  proxy.tampering.lose = (_, payload) => {
    // What follows is its answer.
    if (payload.startsWith("-NAK") && answers > 0) {
      proxy.tampering.drop = (subject) => subject.startsWith("_INBOX") && answers-- > 0;
    }
    return false;
  };
  first.resolve();
  await waitUntil(() => failing.status().ended.retried === 1);
  await queue.publish(1, { id: "b", priority: "high" });
  await waitUntil(() => runs.length >= 3);
  assertEquals(runs.toSorted(), ["a 1, first worker", "a 2, second worker", "b 1, first worker"]);
  second.resolve();
  await waitUntil(() => other.status().ended.completed === 1);
});
