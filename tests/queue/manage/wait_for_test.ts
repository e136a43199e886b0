import { assertEquals, assertGreater, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError, type Job, JobFailedError, UnrecoverableJobError } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { openStores } from "../../_support/open_stores.ts";
import { untilHeard } from "../_until_heard.ts";

const TIMEOUT = { timeout: 10_000 };

Deno.test("JobQueue.waitFor resolves in another process with what the handler returned", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  await using _consumer = worker.jobQueue<number>("checks").consume((job) => job.data * 2);
  const ids = ["plain", "with.dots", "https://a.b/c?d"];
  await Promise.all(ids.map(async (id, data) => {
    await queue.publish(data, { id, keepResult: 60_000 });
    assertEquals(await queue.waitFor(id, TIMEOUT), data * 2);
  }));
  assertEquals(await queue.waitFor("plain", TIMEOUT), 0, "long done");
});

Deno.test("JobQueue.waitFor asks again when an answer to its look was lost, whatever time a call may take", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using proxy = new Proxy(server.url);
  await using stores = openStores(proxy.url, { timeout: 30_000 });
  const queue = worker.jobQueue<string>("checks");
  await using _consumer = queue.consume((job) => job.data);
  await queue.publish("done", { id: "done", keepResult: 60_000 });
  assertEquals(await queue.waitFor("done", TIMEOUT), "done");
  await stores.connect();
  let lost = 0;
  proxy.tampering.drop = (_, payload) =>
    payload.includes('"type":"io.nats.jetstream.api.v1.stream_msg_get') && lost++ === 0;
  const start = performance.now();
  assertEquals(await stores.jobQueue("checks").waitFor("done", { timeout: 30_000 }), "done");
  assertLess(performance.now() - start, 20_000);
  assertGreater(lost, 1);
});

Deno.test("JobQueue.waitFor follows a job through its delay and its retries", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("checks");
  const handler = (job: Job<number>) => {
    if (job.attempt < 3) throw new Error("not yet");
    return job.data;
  };
  await using _consumer = worker.jobQueue<number>("checks").consume(handler, { concurrency: 10, backoff: [0, 30] });
  const jobs = Array.from({ length: 60 }, (_, data) => ({
    data,
    id: `job${data}`,
    keepResult: 60_000,
    ...(data % 2 && { delay: 200 }),
    ...(data % 10 === 4 && { key: "k" }),
  }));
  await queue.publishMany(jobs);
  // Events of all kinds make each of them look while its job moves from one place to another.
  const values = await Promise.all(jobs.map(({ id }) => queue.waitFor(id, TIMEOUT)));
  assertEquals(values, jobs.map(({ data }) => data));
});

Deno.test("JobQueue.waitFor rejects with the reason of a job that will not be done", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const started = Promise.withResolvers<void>();
  const handler = (job: Job) => {
    if (job.id === "dead") throw new Error("always broken");
    if (job.id === "unrecoverable") throw new UnrecoverableJobError("never again");
    started.resolve();
    return new Promise((resolve) => job.signal.addEventListener("abort", resolve));
  };
  await queue.publish(1, { id: "expired", ttl: 1 });
  await queue.publish(1, { id: "dead", maxAttempts: 2, backoff: 10 });
  await queue.publish(1, { id: "unrecoverable" });
  await queue.publish(1, { id: "waits", delay: 60_000, keepResult: 60_000 });
  await queue.publish(1, { id: "runs" });
  const waits = ["expired", "dead", "unrecoverable", "waits", "runs"].map((id) =>
    assertRejects(() => queue.waitFor(id, TIMEOUT), JobFailedError)
  );
  await untilHeard(server, "wqevt.checks.dead.runs");
  await using _consumer = worker.jobQueue("checks").consume(handler);
  await started.promise;
  assertEquals([await queue.cancel("waits"), await queue.cancel("runs")], [true, true]);
  const failures = (await Promise.all(waits)).map(({ id, message, attempts }) => [id, message, attempts]);
  assertEquals(failures, [
    ["expired", "The job was not started in time", 0],
    ["dead", "always broken", 2],
    ["unrecoverable", "never again", 1],
    ["waits", "The job was cancelled", 0],
    ["runs", "The job was cancelled", 0],
  ]);
  const late = await assertRejects(() => queue.waitFor("dead", TIMEOUT), JobFailedError, "always broken");
  assertEquals([late.name, late.id], ["JobFailedError", "dead"]);
});

Deno.test("JobQueue.waitFor ends at its timeout with a TimeoutError, also without a connection", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using unconnected = openStores("127.0.0.1:1");
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "nobody runs it" });
  const began = performance.now();
  await Promise.all([
    queue.waitFor("nobody runs it", { timeout: 300 }),
    queue.waitFor("never was", { timeout: 300 }),
    stores.jobQueue("no-queue").waitFor("a", { timeout: 300 }),
    unconnected.jobQueue("checks").waitFor("a", { timeout: 300 }),
  ].map(async (wait) => {
    const error = await assertRejects(() => wait);
    assertInstanceOf(error, DOMException);
    assertEquals(error.name, "TimeoutError");
  }));
  assertLess(performance.now() - began, 4_000);
});

Deno.test("JobQueue.waitFor ends at once when the stores are closed, and without a server that is configured", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "waits" });
  const waiting = assertRejects(() => queue.waitFor("waits", TIMEOUT), JetStreamStoreError);
  await untilHeard(server, "wqevt.checks.completed.waits");
  await stores.close();
  assertEquals((await waiting).code, "disconnected");
  assertEquals((await assertRejects(() => queue.waitFor("waits", TIMEOUT), JetStreamStoreError)).code, "disconnected");
  await using nowhere = openStores(undefined);
  const error = await assertRejects(() => nowhere.jobQueue("checks").waitFor("a", TIMEOUT), JetStreamStoreError);
  assertEquals(error.code, "disconnected");
});

Deno.test("JobQueue.waitFor says undefined of a job without keepResult, when it leaves the queue", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a" });
  const wait = queue.waitFor("a", TIMEOUT);
  await untilHeard(server, "wqevt.checks.completed.a");
  await using _consumer = worker.jobQueue("checks").consume(() => "nobody keeps it");
  assertEquals(await wait, undefined);
});

Deno.test("JobQueue.waitFor may begin before the job is published, with a worker that has been idle", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = worker.jobQueue("checks").consume(() => "done");
  await queue.publish("so that the worker has looked whether anybody listens");
  await waitUntil(() => consumer.status().ended.completed === 1);
  const waits = ["kept", "not kept"].map((id) => queue.waitFor(id, TIMEOUT));
  await untilHeard(server, "wqevt.checks.completed.kept");
  // Beyond the first looks, when only events can tell, and beyond the second for which a worker trusts its last look.
  await new Promise((resolve) => setTimeout(resolve, 1_700));
  const published = performance.now();
  await queue.publish(1, { id: "kept", keepResult: 60_000 });
  await queue.publish(1, { id: "not kept" });
  assertEquals(await Promise.all(waits), ["done", undefined]);
  assertLess(performance.now() - published, 5_000);
});

Deno.test("JobQueue.waitFor does not hang for an event that was missed", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url, { drop: (subject) => subject.startsWith("wqevt.") });
  await using stores = openStores(proxy.url);
  await using worker = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "kept", keepResult: 60_000 });
  await queue.publish(1, { id: "not kept" });
  await queue.publish(1, { id: "dead", maxAttempts: 1 });
  const waits = [queue.waitFor("kept", TIMEOUT), queue.waitFor("not kept", { timeout: 60_000 })];
  const failing = assertRejects(() => queue.waitFor("dead", TIMEOUT), JobFailedError, "broken");
  await untilHeard(server, "wqevt.checks.completed.kept");
  // Answered behind the first looks: without an event, a job that has never been seen cannot be told from one that never was.
  assertEquals((await queue.get("dead"))?.state, "ready");
  await using _consumer = worker.jobQueue("checks").consume(({ id }) => {
    if (id === "dead") throw new Error("broken");
    return "done";
  });
  assertEquals(await Promise.all(waits), ["done", undefined]);
  await failing;
});

Deno.test("JobQueue.waitFor outlives restarts of the server once it waits", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const gate = Promise.withResolvers<string>();
  await using consumer = worker.jobQueue("checks").consume(() => gate.promise);
  await queue.publish(1, { id: "a", keepResult: 60_000 });
  const wait = queue.waitFor("a", { timeout: 60_000 });
  await untilHeard(server, "wqevt.checks.completed.a");
  await waitUntil(() => consumer.status().active === 1);
  await server.kill();
  await waitUntil(() => stores.connectionStatus() === "reconnecting");
  // It ends while nobody is there to hear of it.
  gate.resolve("done");
  await server.restart();
  assertEquals(await wait, "done");
});

Deno.test("JobQueue.waitFor of an id that lives again does not take its earlier end for this one", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const handler = ({ data }: Job) => {
    if (data === "fail") throw new Error("earlier life");
    return data;
  };
  const options = { maxAttempts: 1 };
  const consumer = worker.jobQueue("checks").consume(handler, options);
  await queue.publish("fail", { id: "dead" });
  await queue.publish("old", { id: "kept", keepResult: 60_000 });
  assertEquals(await queue.waitFor("kept", TIMEOUT), "old");
  await assertRejects(() => queue.waitFor("dead", TIMEOUT), JobFailedError, "earlier life");
  await consumer.stop();
  await queue.publish("good", { id: "dead" });
  await queue.publish("good", { id: "kept" });
  const waits = [queue.waitFor("dead", TIMEOUT), queue.waitFor("kept", TIMEOUT)];
  await untilHeard(server, "wqevt.checks.completed.kept");
  await using _consumer = worker.jobQueue("checks").consume(handler, options);
  assertEquals(await Promise.all(waits), [undefined, undefined]);
});

Deno.test("JobQueue.waitFor takes no event of an earlier job of its id for the end of the one that is there", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const first = await queue.publish(1, { id: "a" });
  let looks = 0;
  foreign.connection.subscribe("$JS.API.STREAM.MSG.GET.WQ_checks", { callback: () => void looks++ });
  await foreign.connection.flush();
  const send = (type: string, details: object = {}) => {
    const body = { type, id: "a", at: new Date(), ...details };
    foreign.connection.publish(`wqevt.checks.${type}.a`, JSON.stringify(body));
  };
  // The second look begins when the first one is over.
  const haveLooked = async () => {
    for (let n = 0; n < 2; n++) {
      const before = looks;
      send("progress", { attempt: 1, value: n });
      await waitUntil(() => looks > before);
    }
  };
  const wait = queue.waitFor("a", { timeout: 60_000 });
  await untilHeard(server, "wqevt.checks.completed.a");
  await haveLooked();
  await foreign.request("STREAM.MSG.DELETE.WQ_checks", { seq: first!.sequence });
  const second = await queue.publish(2, { id: "a" });
  for (const late of ["expired", "cancelled"]) {
    send(late);
    await haveLooked();
  }
  await foreign.request("STREAM.MSG.DELETE.WQ_checks", { seq: second!.sequence });
  assertEquals(await wait, undefined);
});

Deno.test("JobQueue.waitFor takes no job that was removed for one that is done", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const handler = async (job: Job) => {
    while (!job.signal.aborted) await job.progress("so that whoever waits looks all the time");
  };
  await using consumer = worker.jobQueue("checks").consume(handler, { concurrency: 20 });
  const reasons: string[] = [];
  const allActive = waitUntil(() => consumer.status().active === 20);
  await Promise.all(Array.from({ length: 20 }, async (_, n) => {
    await queue.publish(n, { id: `job${n}` });
    const wait = assertRejects(() => queue.waitFor(`job${n}`, TIMEOUT), JobFailedError);
    await allActive;
    await queue.cancel(`job${n}`);
    reasons.push((await wait).message);
  }));
  assertEquals(reasons, Array(20).fill("The job was cancelled"));

  await queue.publish(1, { id: "purged", keepResult: 60_000, delay: 60_000 });
  const wait = assertRejects(
    () => queue.waitFor("purged", { timeout: 60_000 }),
    JobFailedError,
    "taken out of the queue",
  );
  await untilHeard(server, "wqevt.checks.completed.purged");
  await queue.purge();
  await wait;
});

Deno.test("JobQueue.waitFor notices a cancelled job while its cancel still prevents that it comes back", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url, { lose: (subject) => subject === "wq.checks.later.normal.a" });
  await using stores = openStores(server.url);
  await using others = openStores(proxy.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a" });
  const wait = assertRejects(() => queue.waitFor("a", TIMEOUT), JobFailedError, "The job was cancelled");
  await untilHeard(server, "wqevt.checks.cancelled.a");
  const cancelling = others.jobQueue("checks").cancel("a");
  await wait;
  proxy.tampering.lose = undefined;
  assertEquals(await cancelling, true);
});

Deno.test("JobQueue.waitFor finds a kept result before its time is over, also if all events are lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url, { drop: (subject) => subject.startsWith("wqevt.") });
  await using worker = openStores(server.url);
  await using stores = openStores(proxy.url);
  const gate = Promise.withResolvers<void>();
  await using consumer = worker.jobQueue("checks").consume(() => gate.promise.then(() => "done"));
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a", keepResult: 60_000 });
  const wait = queue.waitFor("a", { timeout: 6_000 });
  // Behind its second look.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  gate.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(await wait, "done");
});

Deno.test("JobQueue.waitFor looks again at once after a reconnect", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  const lost = { events: false };
  await using proxy = new Proxy(server.url, { drop: (subject) => lost.events && subject.startsWith("wqevt.") });
  await using stores = openStores(proxy.url);
  const gate = Promise.withResolvers<void>();
  await using consumer = worker.jobQueue("checks").consume(() => gate.promise.then(() => "done"));
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a", keepResult: 60_000 });
  const wait = queue.waitFor("a", { timeout: 60_000 });
  // Behind its second look; without news the next one is ten seconds away.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  lost.events = true;
  gate.resolve();
  await waitUntil(() => consumer.status().ended.completed === 1);
  const cut = performance.now();
  proxy.cut();
  assertEquals(await wait, "done");
  assertLess(performance.now() - cut, 7_000);
});

Deno.test("JobQueue.waitFor, begun after an id died and then succeeded, gives the newer result", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  await using consumer = queue.consume(({ data }) => {
    if (data === "dies") throw new Error("no");
    return data;
  }, { maxAttempts: 1 });
  await queue.publish("dies", { id: "a", keepResult: 60_000 });
  await waitUntil(() => consumer.status().ended.dead === 1);
  await assertRejects(() => queue.waitFor("a", TIMEOUT), JobFailedError, "no");
  await queue.publish("lives", { id: "a", keepResult: 60_000 });
  await waitUntil(() => consumer.status().ended.completed === 1);
  assertEquals(await queue.waitFor("a", TIMEOUT), "lives");
});

Deno.test("JobQueue.waitFor says at its timeout what is known, and what would make it certain", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "waits" });
  const messageOf = async (id: string) => (await assertRejects(() => queue.waitFor(id, { timeout: 700 }))).message;
  assertEquals(await messageOf("waits"), "Job waits was not seen done within 700 ms: it is still in the queue");
  assertEquals(
    await messageOf("never was"),
    "Job never was was not seen done within 700 ms: publish it with 'keepResult' to make the wait certain, as a job that has left the queue leaves nothing else",
  );
});

Deno.test("JobQueue.waitFor does not poll", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "a" });
  const messages = async () => Number((await server.monitor("/varz"))?.in_msgs);
  const before = await messages();
  await Promise.all(Array.from({ length: 20 }, () => assertRejects(() => queue.waitFor("a", { timeout: 9_000 }))));
  // Looks as it begins, as its listener is there, once workers have found that, and before its end; one each 1.5 s would be 8.
  assertLess(await messages() - before, 20 * 6);
});

Deno.test("JobQueue.waitFor refuses what is no id and no timeout", async () => {
  await using stores = openStores(undefined);
  const queue = stores.jobQueue("checks");
  await assertRejects(() => queue.waitFor("", TIMEOUT), TypeError, "'id'");
  for (const timeout of [-1, NaN, Infinity]) {
    await assertRejects(() => queue.waitFor("a", { timeout }), RangeError, "'timeout'");
  }
});
