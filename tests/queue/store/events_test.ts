import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { JetStreamStoreError, type Job, type JobEvent, type JobQueue } from "../../../mod.ts";
import { type NatsServer, startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { openStores } from "../../_support/open_stores.ts";
import { untilHeard } from "../_until_heard.ts";

/** Follows the events of a queue from the moment on when the server knows of it. */
async function follow(server: NatsServer, queue: JobQueue): Promise<{ heard: JobEvent[]; ended: Promise<void> }> {
  const heard: JobEvent[] = [];
  const ended = (async () => {
    for await (const event of queue.events()) heard.push(event);
  })();
  await untilHeard(server, `wqevt.${queue.name}.completed.a`);
  return { heard, ended };
}

/** What a worker does with the jobs of these tests. */
async function handle(job: Job<string>): Promise<void> {
  if (job.data === "progress") await job.progress({ percent: 50 });
  if (job.data === "retry" && job.attempt === 1) throw new Error("once");
  if (job.data === "die") throw new Error("always");
  if (job.data === "hang") await new Promise((resolve) => job.signal.addEventListener("abort", resolve));
}

Deno.test("JobQueue.events yields all that happens to jobs, in order, from all workers", async () => {
  await using server = await startNatsServer();
  await using one = openStores(server.url);
  await using two = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<string>("checks");
  await queue.publishMany([
    { data: "progress", id: "progress.1" },
    { data: "retry", id: "retry", backoff: 1_500 },
    { data: "die", id: "die", maxAttempts: 1 },
    { data: "hang", id: "hang" },
    { data: "late", id: "late", ttl: 1 },
    { data: "keyed", id: "keyed", key: "k" },
  ]);
  const { heard, ended } = await follow(server, queue as JobQueue);
  const began = Date.now();
  const consumers = [one, two].map((worker) => worker.jobQueue<string>("checks").consume(handle, { concurrency: 4 }));
  await waitUntil(() => heard.some(({ type, id }) => type === "started" && id === "hang"));
  await queue.cancel("hang");
  await waitUntil(() =>
    heard.filter(({ type }) => ["completed", "dead", "cancelled", "expired"].includes(type)).length === 6
  );
  await Promise.all(consumers.map((consumer) => consumer.stop()));
  await stores.close();
  await ended;

  const told = new Map<string, unknown[]>();
  for (const { id, at, ...rest } of heard) {
    assert(at instanceof Date && at.getTime() > began - 5_000 && at.getTime() <= Date.now(), `at: ${at}`);
    told.set(id, [...told.get(id) ?? [], rest]);
  }
  const types = (id: string) => heard.filter((event) => event.id === id).map(({ type }) => type);
  assertEquals(types("late"), ["expired"]);
  assertEquals(types("keyed"), ["started", "completed"]);
  assertEquals(types("hang"), ["started", "cancelled"]);
  assertEquals(told.get("progress.1")?.slice(0, 2), [
    { type: "started", attempt: 1 },
    { type: "progress", attempt: 1, value: { percent: 50 } },
  ]);
  assertEquals(types("progress.1"), ["started", "progress", "completed"]);
  assertEquals(types("retry"), ["started", "failed", "retried", "started", "completed"]);
  assertEquals(told.get("retry")?.[1], { type: "failed", attempt: 1, reason: "once" });
  assertEquals(told.get("retry")?.[2], { type: "retried", reason: "once" });
  assertEquals(told.get("retry")?.[3], { type: "started", attempt: 2 });
  assertEquals(types("die"), ["started", "failed", "dead"]);
  assertEquals(told.get("die")?.[2], { type: "dead", reason: "always" });
});

Deno.test("JobQueue.events ends by return() while next() waits", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const iterator = stores.jobQueue("quiet").events()[Symbol.asyncIterator]();
  const waiting = iterator.next();
  await untilHeard(server, "wqevt.quiet.completed.a");
  await within(iterator.return!());
  assertEquals((await waiting).done, true);
});

Deno.test("JobQueue.events yields the events of every worker", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await using stack = new AsyncDisposableStack();
  const { heard } = await follow(server, queue);
  const ran: string[][] = [[], [], []];
  const consumers = ran.map((ids) => {
    const worker = stack.use(openStores(server.url));
    return stack.use(
      worker.jobQueue("checks").consume(async ({ id }) => {
        ids.push(id);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }),
    );
  });
  await waitUntil(() => consumers.every((consumer) => consumer.status().state === "serving"));
  await queue.publishMany(Array.from({ length: 60 }, (_, n) => ({ data: n, id: `job${n}` })));
  await waitUntil(() => heard.filter(({ type }) => type === "completed").length === 60);
  for (const ids of ran) assertGreater(ids.length, 0);
  for (const type of ["started", "completed"]) {
    assertEquals(heard.filter((event) => event.type === type).map(({ id }) => id).toSorted(), ran.flat().toSorted());
  }
});

Deno.test("JobQueue.events yields the first job after an idle time, too", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  await using consumer = worker.jobQueue("checks").consume(() => {});
  await queue.publish("makes the worker look whether anybody listens");
  await waitUntil(() => consumer.status().ended.completed === 1);
  // For so long a worker trusts its last look.
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  const { heard } = await follow(server, queue);
  await queue.publish(1, { id: "first" });
  await waitUntil(() => heard.length === 2, 5_000);
  assertEquals(heard.map(({ type, id }) => `${type} ${id}`), ["started first", "completed first"]);
});

Deno.test("JobQueue.events resumes after a restart of the server", async () => {
  await using server = await startNatsServer();
  await using worker = openStores(server.url);
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const { heard } = await follow(server, queue);
  await using consumer = worker.jobQueue("checks").consume(() => {});
  await queue.publish(1, { id: "before" });
  await waitUntil(() => heard.some(({ type }) => type === "completed"));
  await server.restart();
  await untilHeard(server, "wqevt.checks.completed.a");
  await waitUntil(() => consumer.status().state === "serving");
  await queue.publish(1, { id: "after" });
  await waitUntil(() => heard.some(({ type, id }) => type === "completed" && id === "after"));
});

Deno.test("JobQueue.events ends when the connection is closed, and listens no longer than it is iterated", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const { ended } = await follow(server, queue);
  await stores.close();
  await ended;
  await stores.connect();
  await queue.publish(1, { id: "a", delay: 60_000 });
  const first = (async () => {
    for await (const event of queue.events()) return event.type;
  })();
  await untilHeard(server, "wqevt.checks.completed.a");
  await queue.cancel("a");
  assertEquals(await first, "cancelled");
  await waitUntil(async () => (await server.monitor("/subsz?subs=1&test=wqevt.checks.completed.a"))?.total === 0);
});

Deno.test("JobQueue.events ends with its signal, without an error, whether it waits or has events to give", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("checks");
  const subject = "wqevt.checks.cancelled.a";
  assertEquals(await within(Array.fromAsync(queue.events({ signal: AbortSignal.abort() }))), []);
  const waits = new AbortController();
  const waiting = Array.fromAsync(queue.events({ signal: waits.signal }));
  await untilHeard(server, subject);
  waits.abort();
  assertEquals(await within(waiting), []);

  const has = new AbortController();
  const heard: string[] = [];
  const ended = (async () => {
    for await (const { id } of queue.events({ signal: has.signal })) {
      heard.push(id);
      await queue.cancel("b");
      // The answer comes behind the event.
      await queue.counts();
      has.abort();
    }
  })();
  await untilHeard(server, subject);
  for (const id of ["a", "b"]) await queue.publish(1, { id, delay: 60_000 });
  await queue.cancel("a");
  await within(ended);
  assertEquals(heard, ["a"]);
  await waitUntil(async () => (await server.monitor(`/subsz?subs=1&test=${subject}`))?.total === 0);
});

Deno.test("JobQueue.events throws without a connection", async () => {
  await using stores = openStores(undefined);
  const error = await assertRejects(() => stores.jobQueue("checks").events().next(), JetStreamStoreError);
  assertEquals(error.code, "disconnected");
});

Deno.test("JobQueue.events are plain messages for any client", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using foreign = await ForeignClient.connect(server.url, { reconnect: true });
  const queue = stores.jobQueue("checks");
  const heard: { subject: string; event: Record<string, unknown> }[] = [];
  // Under the wider filter, since workers look whether somebody listens there, too.
  foreign.connection.subscribe("wqevt.checks.>", {
    callback: (_error, message) => {
      if (message.data.length > 0) heard.push({ subject: message.subject, event: message.json() });
    },
  });
  await foreign.connection.flush();
  await using _consumer = queue.consume(() => {});
  await queue.publish(1, { id: "a.b" });
  await waitUntil(() => heard.length === 2);
  assertEquals(heard.map(({ subject }) => subject.split(".")[2]), ["started", "completed"]);
  const { at, ...started } = heard[0].event;
  assertEquals(started, { type: "started", id: "a.b", attempt: 1 });
  assertEquals(new Date(at as string).toISOString(), at);
});

Deno.test("JobConsumer sends no frequent events without a listener", async () => {
  await using server = await startNatsServer();
  const run = async (queueName: string, listen: boolean): Promise<number> => {
    await using stores = openStores(server.url);
    await using worker = openStores(server.url);
    const queue = stores.jobQueue(queueName);
    await queue.publishMany(Array.from({ length: 300 }, (_, data) => ({ data })));
    const heard = listen ? (await follow(server, queue)).heard : [];
    const messages = async () => Number((await server.monitor("/varz"))?.in_msgs);
    const before = await messages();
    await using consumer = worker.jobQueue(queueName).consume(() => {}, { concurrency: 10, prefetch: 100 });
    await waitUntil(() => consumer.status().ended.completed === 300);
    await waitUntil(() => heard.length === (listen ? 600 : 0));
    return await messages() - before;
  };
  const alone = await run("alone", false);
  const listened = await run("listened", true);
  // An acknowledgement for each, the opening, the requests for jobs, and one look a second.
  assertLess(alone, 300 + 120);
  assertGreater(listened - alone, 500);
});
