import { assert, assertEquals, assertGreater } from "@std/assert";
import type { JobReceipt } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

/** Whether a message is the server's answer to a publish: stored, or refused. */
const isAnswer = (_subject: string, payload: string) => /"stream":\s*"WQ_|wrong last sequence/.test(payload);

/** Whether it says that a job is stored. */
const isStored = (_subject: string, payload: string) => /"stream":\s*"WQ_\w+",\s*"seq"/.test(payload);

Deno.test("JobQueue.publish returns no wrong receipt and makes no job twice when a fifth of the replies is lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("lossy");
  await queue.open();
  let answers = 0;
  let lost = 0;
  proxy.tampering.drop = (subject, payload) => {
    if (!isAnswer(subject, payload) || ++answers % 5 !== 0) return false;
    lost++;
    return true;
  };
  const receipts = await Promise.all(Array.from({ length: 300 }, (_, index) =>
    // A third with an id of the library's, a third with one of the caller's, a third delayed.
    queue.publish(index, index % 3 === 0 ? {} : { id: `job${index}`, ...(index % 3 === 2 && { delay: 60_000 }) })));
  assertGreater(lost, 50);
  const stored = await foreign.messages("WQ_lossy");
  assertEquals(stored.length, 300);
  assertEquals(stored.map(({ body }) => Number(body)).sort((a, b) => a - b), Array.from({ length: 300 }, (_, i) => i));
  for (const [index, receipt] of receipts.entries()) {
    assert(receipt, `${index} is not confirmed`);
    assertEquals(receipt.duplicate, false, `${index} is its own duplicate`);
    assertEquals(stored.find(({ body }) => body === String(index))?.sequence, receipt.sequence);
  }
});

Deno.test("JobQueue.publish distinguishes a duplicate from its own job whose reply was lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  const queue = stores.jobQueue("lossy");
  await queue.publish("theirs", { id: "taken" });
  let lost = 0;
  proxy.tampering.drop = (subject, payload) => isAnswer(subject, payload) && lost++ === 0;
  assertEquals(await queue.publish("mine", { id: "taken" }), {
    id: "taken",
    queue: "lossy",
    sequence: 1,
    duplicate: true,
  });
  lost = 0;
  assertEquals(await queue.publish("mine", { id: "free" }), {
    id: "free",
    queue: "lossy",
    sequence: 2,
    duplicate: false,
  });
});

Deno.test("JobQueue.publish recognizes its own job also when it was completed before its reply arrived", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using workers = new QueueStores(server.url);
  const queue = stores.jobQueue("lossy");
  const runs = new RecordedRuns();
  await using consumer = workers.jobQueue("lossy").consume(runs.handler);
  await queue.open();
  let lost = 0;
  proxy.tampering.drop = (subject, payload) => isStored(subject, payload) && lost++ === 0;
  assertEquals((await queue.publish(1, { id: "a" }))?.duplicate, false);
  assertGreater(lost, 1);
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals((await queue.publish(2, { id: "b" }))?.duplicate, false);
  await waitUntil(() => consumer.status().ended.completed === 2);
  assertEquals(runs.ids, ["a", "b"]);
});

Deno.test("JobQueue.publish recognizes its own job also when the connection broke before its reply", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("lossy");
  await queue.open();
  for (const options of [{}, { id: "a" }, { id: "b", delay: 60_000 }]) {
    let lost = 0;
    proxy.tampering.drop = (subject, payload) => {
      if (!isStored(subject, payload) || lost++ > 0) return false;
      setTimeout(() => proxy.cut(), 0);
      return true;
    };
    const receipt = await queue.publish("once", options);
    assertEquals(receipt?.duplicate, false);
    assertGreater(lost, 0);
  }
  assertEquals((await foreign.messages("WQ_lossy")).length, 3);
});

Deno.test("JobQueue.publish is null when no answer comes, and a repeat with the same requestId makes no second job", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url, { timeout: 300 });
  await using workers = new QueueStores(server.url);
  const queue = stores.jobQueue("lossy");
  const runs = new RecordedRuns();
  await using consumer = workers.jobQueue("lossy").consume(runs.handler);
  await queue.open();
  proxy.tampering.drop = isAnswer;
  // On a busy machine a call can end before it has sent anything.
  await waitUntil(async () => {
    assertEquals(await queue.publish(1, { requestId: "r" }), null);
    assertEquals(await queue.publish(1, { requestId: "s", id: "a" }), null);
    return consumer.status().ended.completed === 2;
  });
  proxy.tampering.drop = undefined;
  for (const options of [{ requestId: "r" }, { requestId: "s", id: "a" }]) {
    let receipt: JobReceipt | null = null;
    await waitUntil(async () => (receipt = await queue.publish(1, options)) !== null);
    assertEquals(receipt!.duplicate, true);
  }
  await workers.jobQueue("lossy").publish(2, { id: "last" });
  await runs.started(3);
  assertEquals(runs.all.map(({ data }) => data), [1, 1, 2]);
});

Deno.test("JobConsumer runs a job once when the confirmation of its acknowledgement is lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using publisher = new QueueStores(server.url);
  const queue = stores.jobQueue("lossy", { lease: 3_000 });
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler, { concurrency: 10 });
  await waitUntil(() => consumer.status().state === "serving");
  // The confirmation of an acknowledgement is an empty message to the inbox of requests.
  let empty = 0;
  proxy.tampering.drop = (subject, payload) => subject.startsWith("_INBOX.") && payload === "\r\n" && ++empty % 3 === 0;
  const sender = publisher.jobQueue("lossy");
  for (let index = 0; index < 30; index++) await sender.publish(index, { id: `job${index}` });
  await waitUntil(async () => runs.all.length >= 30 && (await sender.counts())?.active === 0);
  await waitUntil(() => consumer.status().active === 0);
  assertGreater(empty, 3);
  assertEquals(runs.ids.toSorted(), Array.from({ length: 30 }, (_, index) => `job${index}`).toSorted());
});

Deno.test("JobConsumer makes one retry, and one dead letter, of a job whose move is not confirmed at first", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using publisher = new QueueStores(server.url);
  const queue = stores.jobQueue("lossy", { lease: 5_000 });
  const runs = new RecordedRuns(() => {
    throw new Error("no");
  });
  await publisher.jobQueue("lossy").publish(1, { id: "a" });
  await using consumer = queue.consume(runs.handler, { maxAttempts: 3, backoff: 0 });
  let answers = 0;
  proxy.tampering.drop = (subject, payload) =>
    /"stream":\s*"WQ(DEAD)?_\w+",\s*"seq"/.test(payload) && answers++ % 2 === 0 &&
    subject.startsWith("_INBOX.");
  await waitUntil(() => consumer.status().ended.dead === 1);
  assertGreater(answers, 2);
  assertEquals(runs.all.map(({ attempt, deliveries }) => [attempt, deliveries]), [[1, 1], [2, 1], [3, 1]]);
  const counts = await publisher.jobQueue("lossy").counts();
  assertEquals([counts?.active, counts?.delayed, counts?.dead], [0, 0, 1]);
});

Deno.test("JobConsumer keeps a redelivered job in the queue while its move is not confirmed, and runs it once", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using publisher = new QueueStores(server.url);
  const queue = stores.jobQueue("lossy", { lease: 1_000 });
  await queue.publish(1, { id: "a" });
  const dying = queue.consume(() => new Promise(() => {}));
  await waitUntil(() => dying.status().active === 1);
  assertEquals((await dying.stop({ deadline: 0 })).abandoned, ["a"]);
  let lost = 0;
  proxy.tampering.lose = (subject) => subject === "wq.lossy.ready.normal.a" && ++lost > 0;
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  await waitUntil(() => lost > 2);
  assertEquals((await publisher.jobQueue("lossy").get("a"))?.state, "active");
  proxy.tampering.lose = undefined;
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(runs.all.map(({ id, attempt }) => [id, attempt]), [["a", 1]]);
});

test("JobQueue.purge, unschedule, discard and destroy are null when the connection breaks before they are answered", async () => {
  await using server = await startNatsServer();
  let lost = "";
  await using proxy: Proxy = new Proxy(server.url, {
    lose: (subject) => {
      if (lost && subject.includes(lost)) dropping = true;
      return false;
    },
    drop: (_, payload) => {
      if (!dropping || !payload.includes('"success":true')) return false;
      dropping = false;
      lost = "";
      queueMicrotask(() => proxy.cut());
      return true;
    },
  });
  let dropping = false;
  await using stores = new QueueStores(proxy.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(() => Promise.reject(new Error("broken")), { maxAttempts: 1 });
  await queue.publish(1, { id: "dead" });
  await waitUntil(() => consumer.status().ended.dead === 1);
  await consumer.stop();
  await queue.publish(1);
  await queue.schedule("s", { every: 3_600_000, data: 1 });
  const calls: [string, () => Promise<unknown>][] = [
    ["STREAM.PURGE", () => queue.purge()],
    ["STREAM.MSG.DELETE", () => queue.unschedule("s")],
    ["STREAM.MSG.DELETE", () => queue.discard("dead")],
    ["STREAM.DELETE", () => queue.destroy()],
  ];
  for (const [subject, call] of calls) {
    lost = subject;
    assertEquals(await call(), null);
    await waitUntil(() => stores.connectionStatus() === "connected");
  }
});

Deno.test("JobConsumer acknowledges a job that another consumer of its queue in the process has done, and does not run it again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  const queue = stores.jobQueue("checks", { lease: 5_000 });
  const runs = new RecordedRuns();
  let lost = 0;
  proxy.tampering.lose = (_, payload) => payload.startsWith("+ACK") && ++lost > 0;
  const before = queue.consume(runs.handler);
  await queue.publish(1, { id: "a" });
  await waitUntil(() => lost > 0 && runs.active === 0);
  assertEquals((await before.stop({ deadline: 0 })).abandoned, ["a"]);
  proxy.tampering.lose = () => false;
  await using after = queue.consume(runs.handler);
  await waitUntil(() => after.status().ended.skipped + after.status().ended.completed === 1);
  assertEquals(runs.all.length, 1);
});

Deno.test("JobConsumer does not run a job again whose acknowledgement was confirmed and then lost by the server", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 5_000 });
  let confirmed = 0;
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  proxy.tampering.lose = (_, payload, reply) => {
    // It is sent again until the confirmation is there.
    if (!payload.startsWith("+ACK") || reply === undefined || consumer.status().ended.completed > 0) return false;
    confirmed++;
    foreign.connection.publish(reply);
    return true;
  };
  await queue.publish(1, { id: "a" });
  await waitUntil(() => consumer.status().ended.completed === 1);
  await waitUntil(() => consumer.status().ended.skipped === 1);
  await waitUntil(async () => {
    const counts = (await queue.counts())!;
    return counts.active + counts.delayed + counts.ready.normal === 0;
  });
  assertGreater(confirmed, 0);
  assertEquals(runs.ids, ["a"]);
});

Deno.test("JobConsumer that acknowledges a job late removes the copy that another worker has made of it meanwhile", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new QueueStores(proxy.url);
  await using away = new Proxy(server.url);
  await using others = new QueueStores(away.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks", { lease: 15_000 });
  const runs = new RecordedRuns();
  await using consumer = queue.consume(runs.handler);
  let acknowledgement = "";
  proxy.tampering.lose = (subject, payload) => {
    if (payload.startsWith("+ACK")) acknowledgement = subject;
    return payload.startsWith("+ACK");
  };
  await queue.publish(1, { id: "a" });
  await waitUntil(() => acknowledgement !== "");
  const waiting = async () =>
    (await foreign.api<{ num_waiting: number }>("CONSUMER.INFO.WQ_checks.normal")).num_waiting;
  const stopped = consumer.stop({ deadline: 60_000 });
  await waitUntil(async () => await waiting() === 0);
  // The copy stays: nobody is given jobs once it is stored.
  let pausing: Promise<unknown> | undefined;
  let isPaused = false;
  away.tampering.lose = (subject) => {
    if (!/^wq\.checks\.(later|ready)\.normal\.a$/.test(subject)) return false;
    const pause_until = new Date(Date.now() + 3_600_000).toISOString();
    pausing ??= foreign.api("CONSUMER.PAUSE.WQ_checks.normal", { pause_until }).then(() => isPaused = true);
    // It is sent again after a second.
    return !isPaused;
  };
  // As a server does that changes its leader, it delivers the job to another worker.
  const other = others.jobQueue("checks").consume(runs.handler);
  await waitUntil(async () => await waiting() === 1);
  foreign.connection.publish(acknowledgement, "-NAK");
  await waitUntil(() => other.status().ended.skipped === 1);
  await other.stop();
  // The copy waits a moment for its turn, and is read twice by who reads while it comes.
  const copies = () => foreign.messages("WQ_checks", "wq.checks.ready.>");
  await waitUntil(async () => (await copies()).length > 0);
  assertEquals((await copies()).map(({ headers }) => headers["Job-Replaces"]), ["1"]);
  proxy.tampering.lose = undefined;
  await stopped;
  assertEquals(consumer.status().ended.completed, 1);
  assertEquals((await foreign.messages("WQ_checks")).length, 0);
  assertEquals(runs.ids, ["a"]);
});
