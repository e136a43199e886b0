import { assert, assertEquals, assertMatch } from "@std/assert";
import { LateJobs } from "../../../src/queue/source/_late_jobs.ts";
import { EndedJobs } from "../../../src/queue/store/ended_jobs.ts";
import { QueueNames } from "../../../src/queue/format/queue_names.ts";
import type { QueueContext } from "../../../src/queue/store/queue_context.ts";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import type { Session } from "../../../src/wire/session.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { CollectedLog } from "../../_support/collected_log.ts";
import { openSession } from "../../_support/open_session.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { Relay } from "../../_support/relay.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const HOUR = 3_600_000;

/** A session by whose clock it is two hours later: what is delayed by an hour looks as if its schedule were forgotten. */
function twoHoursLater(session: Session): Session {
  return new Proxy(session, {
    get(target, name) {
      if (name === "now") return () => target.now() + 2 * HOUR;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function lateJobs(
  ask: (firings: (string | undefined)[]) => boolean[],
  timeout = 20_000,
): { late: LateJobs; log: CollectedLog } {
  const log = new CollectedLog();
  const parts = {
    names: new QueueNames("checks"),
    context: { timeout, logger: log },
  } as unknown as QueueContext;
  return {
    late: new LateJobs(parts, { ask: (_, asked) => Promise.resolve(ask(asked.map(([, , firing]) => firing))) }),
    log,
  };
}

Deno.test("LateJobs stores a late job again that no worker has, at its second look and as it was", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using open = await openSession({ servers: server.url });
  const queue = stores.jobQueue("checks");
  await queue.publish({ n: 1 }, { id: "late", delay: HOUR, priority: "high", headers: { "x-a": "b" } });
  await queue.publish({ n: 2 }, { id: "not yet", delay: 5 * HOUR });
  const [before] = await Array.fromAsync(queue.jobs({ kind: "delayed", priority: "high" }));
  const { late, log } = lateJobs((asked) => asked.map(() => false));
  const session = twoHoursLater(open.session);
  await late.look(session, 1_000);
  assertEquals((await queue.get("late"))?.sequence, before.sequence);
  await late.look(session, 1_000);
  const after = (await queue.get("late"))!;
  assert(after.sequence > before.sequence);
  assertEquals({ ...after, sequence: 0 }, { ...before, sequence: 0 });
  assertEquals((await queue.counts())?.delayed, 2);
  assertEquals(log.lines.length, 1);
  assertMatch(log.lines[0], /^warn: Delayed job late of queue checks \(message \d+\) was not started when it was due/);
});

Deno.test("LateJobs makes ready, as its firing would have, what is late though its schedule was set when it was due", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using open = await openSession({ servers: server.url });
  await using client = await ForeignClient.connect(server.url);
  await stores.jobQueue("checks").open();
  const due = new Date(Date.now() - HOUR).toISOString();
  const publishLate = (id: string) =>
    client.publish(`wq.checks.later.normal.${id}`, "1", {
      "Nats-Schedule": `@at ${due}`,
      "Nats-Schedule-Target": `wq.checks.ready.normal.${id}`,
      "Job-Due": due,
      "x-a": "b",
    });
  const ready = async (count: number) => {
    const waiting = async () => (await client.messages("WQ_checks")).filter(({ subject }) => /ready/.test(subject));
    await waitUntil(async () => (await waiting()).length === count);
    // Each names itself, and ours its guard.
    const isTheSame = ([name]: [string, string]) => !/^Nats-(Scheduler|Expected-.*)$/.test(name);
    return (await waiting()).map((
      { headers, body },
    ) => [...Object.entries(headers).filter(isTheSame).toSorted(), body]);
  };
  const { late, log } = lateJobs((asked) => asked.map(() => false));
  // The server fires it within a quarter of a second: a busy machine needs several tries to be faster.
  let tries = 0;
  while (log.lines.length === 0 && tries < 50) {
    await publishLate(`job${++tries}`);
    for (let look = 0; look < 2; look++) await late.look(open.session, 1_000);
    await ready(tries);
  }
  assertMatch(log.lines[0], /^warn: Delayed job job\d+ of queue checks .* was not started .*: it is ready now/);
  await publishLate("fired");
  const [ours, fired] = (await ready(tries + 1)).slice(-2);
  assertEquals(ours, fired);
  assertEquals((await stores.jobQueue("checks").counts())?.delayed, 0);
});

Deno.test("LateJobs reads what is late from the leader of a cluster, whose replicas can differ", async () => {
  await using cluster = await startNatsCluster();
  await using stores = new QueueStores(cluster.urls[0]);
  await using open = await openSession({ servers: cluster.urls[0] });
  await using foreign = await ForeignClient.connect(cluster.urls[0]);
  const queue = stores.jobQueue("checks", { replicas: 3 });
  await queue.publish(1, { id: "late", delay: HOUR });
  const { sequence } = (await queue.get("late"))!;
  const direct: string[] = [];
  foreign.connection.subscribe("$JS.API.DIRECT.GET.>", { callback: (_, { subject }) => void direct.push(subject) });
  await foreign.connection.flush();
  const { late } = lateJobs((asked) => asked.map(() => false));
  for (let look = 0; look < 2; look++) await late.look(twoHoursLater(open.session), 1_000);
  assertEquals(direct, []);
  assert((await queue.get("late"))!.sequence > sequence);
});

Deno.test("LateJobs reads a page of a cluster also where all of it takes longer than a call may", async () => {
  await using cluster = await startNatsCluster();
  await using relay = new Relay(cluster.urls[0], { alone: true });
  await using stores = new QueueStores(cluster.urls[0]);
  await using open = await openSession({ servers: relay.url });
  const queue = stores.jobQueue("checks", { replicas: 3 });
  await queue.publishMany(Array.from({ length: 30 }, (_, n) => ({ data: n, id: `job${n}`, delay: 5 * HOUR })));
  await queue.publish(1, { id: "late", delay: HOUR });
  const { sequence } = (await queue.get("late"))!;
  const { late } = lateJobs((asked) => asked.map(() => false), 2_000);
  relay.slow("up", { delay: 100, chunk: 65_536 });
  for (let look = 0; look < 2; look++) await late.look(twoHoursLater(open.session), 1_000);
  assert((await queue.get("late"))!.sequence > sequence);
});

Deno.test("LateJobs leaves a late job to the worker that has ended what it became", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using open = await openSession({ servers: server.url });
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "late", delay: HOUR });
  const before = await queue.get("late");
  const asked: (string | undefined)[] = [];
  const { late, log } = lateJobs((firings) => {
    asked.push(...firings);
    return firings.map(() => true);
  });
  for (let look = 0; look < 3; look++) await late.look(twoHoursLater(open.session), 1_000);
  assertEquals(await queue.get("late"), before);
  assertEquals(log.lines, []);
  assertMatch(asked[0]!, /^[\w-]{10}$/);
});

Deno.test("LateJobs removes a late job that has a newer message", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using open = await openSession({ servers: server.url });
  await using client = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "late", delay: HOUR });
  await client.publish("wq.checks.ready.normal.late", "1", {});
  const { late, log } = lateJobs((firings) => firings.map(() => false));
  for (let look = 0; look < 2; look++) await late.look(twoHoursLater(open.session), 1_000);
  const counts = (await queue.counts())!;
  assertEquals([counts.delayed, counts.ready.normal], [0, 1]);
  assertMatch(log.lines.join(), /has a newer message: the delayed one was removed/);
});

Deno.test("EndedJobs recognizes the firing of a delayed job whose run has ended, as its delayed message names it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using open = await openSession({ servers: server.url });
  const queue = stores.jobQueue("checks");
  await queue.publish(1, { id: "late", delay: HOUR });
  const firings: (string | undefined)[] = [];
  const { late } = lateJobs((asked) => {
    firings.push(...asked);
    return asked.map(() => true);
  });
  for (let look = 0; look < 2; look++) await late.look(twoHoursLater(open.session), 1_000);
  const remembered: (string | undefined)[] = [];
  const remember = EndedJobs.prototype.remember;
  using _restored = { [Symbol.dispose]: () => void (EndedJobs.prototype.remember = remember) };
  const ended = Promise.withResolvers<void>();
  EndedJobs.prototype.remember = function (this: EndedJobs, delivery) {
    remembered.push(...delivery.firings);
    ended.resolve();
    return remember.call(this, delivery);
  };
  const runs = new RecordedRuns();
  await using _worker = queue.consume(runs.handler);
  // The same publish, due in a moment: as if its hour were over.
  const message = (await open.session.requests.request(
    "$JS.API.STREAM.MSG.GET.WQ_checks",
    JSON.stringify({ last_by_subj: "wq.checks.later.normal.late" }),
    performance.now() + 10_000,
  )).json<{ message: { hdrs: string } }>();
  const header = (name: string) => new RegExp(`${name}: (\\S+)`).exec(atob(message.message.hdrs))![1];
  await using client = await ForeignClient.connect(server.url);
  await client.publish("wq.checks.later.normal.late", "1", {
    "Nats-Schedule": `@at ${new Date().toISOString()}`,
    "Nats-Schedule-Target": "wq.checks.ready.normal.late",
    "Nats-Rollup": "sub",
    "Job-Nonce": header("Job-Nonce"),
    "Job-Enqueued-At": header("Job-Enqueued-At"),
  });
  await ended.promise;
  assertEquals(remembered, firings);
});

Deno.test("JobConsumer runs a delayed job once in a process though its schedule fires twice", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns();
  await using worker = queue.consume(runs.handler);
  const enqueuedAt = new Date().toISOString();
  const fire = (nonce: string) =>
    client.publish("wq.checks.later.normal.back", "1", {
      "Nats-Schedule": `@at ${new Date().toISOString()}`,
      "Nats-Schedule-Target": "wq.checks.ready.normal.back",
      "Job-Nonce": nonce,
      "Job-Enqueued-At": enqueuedAt,
    });
  await waitUntil(() => worker.status().state === "serving");
  await fire("one publish");
  await waitUntil(() => worker.status().ended.completed === 1);
  await fire("one publish");
  await waitUntil(() => worker.status().ended.skipped === 1);
  await fire("another publish");
  await waitUntil(() => worker.status().ended.completed === 2);
  assertEquals(runs.all.length, 2);
});
