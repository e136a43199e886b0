import { assert, assertEquals, assertInstanceOf, assertLess } from "@std/assert";
import { connect, headers } from "@nats-io/transport-node";
import type { JobEvent } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { CollectedLog } from "../../_support/collected_log.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

/** A user of the server who may publish live events, and one who may do everything. */
const USERS = `authorization { users: [
  { user: service, password: secret },
  { user: low, password: low, permissions: { publish: ["wqevt.checks.>"], subscribe: ["_INBOX.>", "probe.>"] } }
] }`;

Deno.test("Workers and followers of events answer below an inbox prefix only, whatever reply subject a message has", async () => {
  await using server = await startNatsServer({ config: USERS });
  await using stores = new QueueStores(server.url, { user: "service", password: "secret" });
  await stores.kvBucket("secrets").put("a", "b");
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(() => {});
  const events = queue.events()[Symbol.asyncIterator]();
  const first = events.next();
  await waitUntil(() => consumer.status().state === "serving");
  const low = await connect({ servers: server.url, user: "low", pass: "low" });
  try {
    const reached: string[] = [];
    low.subscribe("probe.>", { callback: (_, { subject }) => void reached.push(subject) });
    for (const subject of ["wqevt.checks.listening", "wqevt.checks.known"]) {
      // One that is answered is awaited, so what was sent before has been dealt with.
      const body = subject.endsWith("known") ? "[[1,1]]" : "";
      for (
        const reply of ["$JS.API.STREAM.DELETE.KV_secrets", "probe.INBOX.a", "probe._INBOX.a", "wq.checks.ready.high.a"]
      ) {
        low.publish(subject, body, { reply });
      }
      await waitUntil(() => low.request(subject, body, { timeout: 500 }).then(() => true, () => false));
    }
    await low.flush();
    assertEquals(reached, []);
    assertEquals((await stores.kvBucket("secrets").get("a"))?.text(), "b");
    assertEquals(await queue.get("a"), null);
  } finally {
    await low.close();
    await events.return?.();
    await first;
  }
});

Deno.test("Forged advisories and changes end no run and pause nothing", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const go = Promise.withResolvers<void>();
  let aborted = false;
  await using consumer = queue.consume(async ({ signal }) => {
    signal.addEventListener("abort", () => aborted = true);
    await go.promise;
  });
  await queue.publish(1, { id: "runs" });
  await waitUntil(() => consumer.status().active === 1);
  const advisory = "$JS.EVENT.ADVISORY.CONSUMER";
  for (const body of [{ stream_seq: 1 }, { stream_seq: "1" }, { stream_seq: 2 ** 60 }, {}, [], null, 5]) {
    foreign.connection.publish(`${advisory}.MSG_TERMINATED.WQ_checks.normal`, JSON.stringify(body));
    for (const consumer of ["high", "normal", "low"]) {
      const pause = JSON.stringify({ consumer, paused: true });
      foreign.connection.publish(`${advisory}.PAUSE.WQ_checks.${consumer}`, pause);
    }
    foreign.connection.publish("wqevt.checks.changed", "x".repeat(100));
  }
  await foreign.connection.flush();
  for (let n = 0; n < 100; n++) {
    foreign.connection.publish("$JS.EVENT.ADVISORY.STREAM.DELETED.WQ_checks", "{}");
    await foreign.connection.flush();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(consumer.status().state, "serving");
  }
  // Advisories are dealt with in their order: a real one comes after them.
  await queue.publish(1, { id: "other" });
  await queue.cancel("other");
  await queue.limitActive({ low: 5 });
  assertEquals(consumer.status().state, "serving");
  assertEquals(aborted, false);
  go.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  const malformed = stores.log.filter((line) => line.includes("malformed"));
  assertEquals(malformed.length, 1, malformed.join("\n"));
});

Deno.test("JobQueue.events drops malformed events with one line, and takes type and id from the subject", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const heard: JobEvent[] = [];
  const queue = stores.jobQueue("checks");
  const following = (async () => {
    for await (const event of queue.events()) heard.push(event);
  })();
  const at = new Date().toISOString();
  const malformed = ["", "null", "[]", "{", "{}", '{"at":5}', '{"at":"never"}'];
  await waitUntil(() => {
    foreign.connection.publish("wqevt.checks.started.first", JSON.stringify({ at, attempt: 1 }));
    return heard.length > 0;
  });
  for (const body of malformed) foreign.connection.publish("wqevt.checks.completed.a", body);
  foreign.connection.publish("wqevt.checks.unknown.a", JSON.stringify({ at }));
  for (const attempt of ["junk1", 0, 1.5, undefined]) {
    foreign.connection.publish("wqevt.checks.started.a", JSON.stringify({ at, attempt }));
  }
  foreign.connection.publish("wqevt.checks.failed.a", JSON.stringify({ at, attempt: 1, reason: 5 }));
  foreign.connection.publish("wqevt.checks.dead.a", JSON.stringify({ at }));
  foreign.connection.publish("wqevt.checks.progress.a", JSON.stringify({ at, attempt: 1 }));
  const reason = "r".repeat(100_000);
  foreign.connection.publish("wqevt.checks.dead.last", JSON.stringify({ type: "completed", id: "other", at, reason }));
  await waitUntil(() => heard.at(-1)?.id === "last");
  assertEquals(heard.at(-1), { type: "dead", id: "last", at: new Date(at), reason: reason.slice(0, 2_000) });
  assertEquals(new Set(heard.map(({ id }) => id)), new Set(["first", "last"]));
  assertEquals(stores.log.filter((line) => line.includes("malformed")).length, 1);
  await stores.close();
  await following;
});

Deno.test("JobQueue.events keeps a bounded number of events for a slow reader: the newest, and says so once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const events = stores.jobQueue("checks").events()[Symbol.asyncIterator]();
  const first = events.next();
  const at = new Date().toISOString();
  let began = false;
  first.then(() => began = true);
  await waitUntil(() => {
    foreign.connection.publish("wqevt.checks.started.first", JSON.stringify({ at, attempt: 1 }));
    return began;
  });
  const value = "v".repeat(10_000);
  const count = 3_000;
  for (let n = 0; n < count; n++) {
    foreign.connection.publish(`wqevt.checks.progress.job${n}`, JSON.stringify({ at, attempt: 1, value }));
    if (n % 100 === 0) await foreign.connection.flush();
  }
  foreign.connection.publish("wqevt.checks.completed.end", JSON.stringify({ at }));
  await foreign.connection.flush();
  await waitUntil(() => stores.log.some((line) => line.startsWith("Dropped old events")));
  await stores.jobQueue("checks").counts();
  const ids: string[] = [];
  for (let id = ""; id !== "end"; ids.push(id)) id = (await events.next()).value!.id;
  const jobs = ids.filter((id) => id.startsWith("job"));
  assertEquals(jobs, Array.from({ length: jobs.length }, (_, n) => `job${count - jobs.length + n}`), "the newest");
  assertLess(jobs.length * 10_000, 9 * 1024 * 1024);
  assertEquals(stores.log.filter((line) => line.startsWith("Dropped old events")).length, 1);
  await events.return?.();
});

Deno.test("A worker drops questions about messages that are malformed or too long, and keeps serving", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  await using stores = new QueueStores(server.url, { logger });
  const queue = stores.jobQueue("checks");
  const go = Promise.withResolvers<void>();
  await using consumer = queue.consume(() => go.promise);
  await queue.publish(1, { id: "held" });
  await waitUntil(() => consumer.status().active === 1);
  const nc = await connect({ servers: server.url });
  try {
    const long = JSON.stringify(Array.from({ length: 100_000 }, () => [1, 1]));
    for (const body of [long, JSON.stringify(Array(33).fill([1, 1])), "[[1]]", "[1]", '{"0":1}', '[["1",1]]', "null"]) {
      nc.publish("wqevt.checks.known", body, { reply: "_INBOX.nobody" });
    }
    const [{ time }] = await (await ForeignClient.connect(server.url).then(async (foreign) => {
      await using client = foreign;
      return await client.messages("WQ_checks");
    }));
    const question = JSON.stringify([[1, Date.parse(time)], [2, 5]]);
    const reply = await nc.request("wqevt.checks.known", question, { timeout: 10_000 });
    assertEquals(reply.json(), ["held", null]);
    assertEquals(logger.lines.filter((line) => line.includes("malformed")).length, 1);
  } finally {
    await nc.close();
    go.resolve();
  }
});

Deno.test("Dead letters and results that are malformed are read without invented values", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(({ data }) => {
    if (data === "dies") throw new Error("no");
    return data;
  }, { maxAttempts: 1 });
  await queue.publish("dies", { id: "dies" });
  await queue.publish("kept", { id: "kept", keepResult: 60_000 });
  await waitUntil(() => consumer.status().ended.dead === 1 && consumer.status().ended.completed === 1);
  assertEquals(await queue.result("kept"), { value: "kept" });
  const nc = await connect({ servers: server.url });
  try {
    for (const attempts of ["junk", "-1", "1e99", "NaN", "0x10"]) {
      const block = headers();
      block.set("Job-Attempts", attempts);
      block.set("Job-Died-At", "never");
      block.set("Job-Enqueued-At", "junk");
      block.set("Job-Reason", JSON.stringify("r".repeat(20_000)));
      block.set("Job-Stack", "s".repeat(20_000));
      await nc.request("wqdead.checks.forged", "{", { headers: block, timeout: 10_000 });
      const letter = (await Array.fromAsync(queue.deadLetters())).find(({ id }) => id === "forged")!;
      assertEquals([letter.attempts, letter.data, letter.reason.length, letter.stack?.length], [
        0,
        undefined,
        2_000,
        8_000,
      ]);
      for (const date of [letter.diedAt, letter.enqueuedAt]) {
        assertInstanceOf(date, Date);
        assert(!Number.isNaN(date.getTime()));
      }
    }
    for (const body of ["{", ""]) {
      await nc.request("$KV.wq_checks.kept.result", body, { timeout: 10_000 });
      assertEquals(await queue.result("kept"), null);
    }
  } finally {
    await nc.close();
  }
});
