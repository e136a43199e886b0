import { assert, assertEquals } from "@std/assert";
import { RetryJobError, UnrecoverableJobError } from "../../mod.ts";
import { Telemetry } from "../../src/telemetry/telemetry.ts";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { suspend } from "../_support/suspend.ts";
import { openStores } from "../_support/open_stores.ts";
import { type Measured, RecordedTelemetry } from "./_recorded_telemetry.ts";

const telemetry = new RecordedTelemetry();
const test = testFrom("2.14");

/** The values of a metric whose attributes say so, by another attribute. */
async function valuesBy(
  name: string,
  attribute: string,
  where: Record<string, unknown>,
): Promise<Record<string, number>> {
  const { points } = await telemetry.metric(name);
  const matching = points.filter(({ attributes }) =>
    Object.entries(where).every(([key, value]) => attributes[key] === value)
  );
  return Object.fromEntries(matching.map(({ attributes, value }) => [String(attributes[attribute]), value]));
}

function assertSeconds({ unit, points }: { unit: string; points: Measured[] }): void {
  assertEquals(unit, "s");
  for (const { sum = 0, value } of points) assert(sum > 0 && sum < 30 * value, String(sum));
}

/** Messages that a server has read. It counts what it has read at once when all of it is done, which an answer may precede. */
async function requestsOf(server: NatsServer): Promise<number> {
  for (let last = NaN;;) {
    const count = Number((await server.monitor("/varz"))?.in_msgs);
    if (count === last) return count;
    last = count;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test("publishes are counted and timed, by what kept one from being stored", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url, { timeout: 5_000 });
  assert(await stores.connect());
  const queue = stores.jobQueue("sent");
  await queue.publish(1);
  await queue.publishMany([{ data: 2 }, { data: 3 }, { data: 4 }]);
  await server.stop();
  assertEquals(await queue.publish(5), null);
  assertEquals(await queue.publishMany([{ data: 6 }, { data: 7 }]), null);
  const shared = {
    "messaging.system": "nats",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": "sent",
    "server.address": "127.0.0.1",
    "server.port": server.port,
  };
  const failed = { ...shared, "error.type": "unavailable" };
  assertEquals(await telemetry.metric("messaging.client.sent.messages"), {
    unit: "{message}",
    points: [{ attributes: shared, value: 4 }, { attributes: failed, value: 3 }],
  });
  const duration = await telemetry.metric("messaging.client.operation.duration");
  assertEquals(duration.points.map(({ attributes, value }) => [attributes, value]), [[shared, 2], [failed, 2]]);
  assertSeconds(duration);
});

test("of many jobs those are counted as failed that are not confirmed", async () => {
  const jobs = ["a", "b", "c"].map((id) => ({ id, headers: [] }));
  const publish = () => Promise.resolve([null, { id: "b" }, null]);
  await new Telemetry().send({ name: "partly", depth: () => Promise.resolve(null) }, jobs, publish, true);
  const where = { "messaging.destination.name": "partly" };
  const counts = await valuesBy("messaging.client.sent.messages", "error.type", where);
  assertEquals(counts, { undefined: 1, unavailable: 2 });
});

test("runs are counted and timed, and jobs by how they ended", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("ended");
  await using worker = queue.consume((job) => {
    if (job.data === 1 && job.postponed === 0) throw new RetryJobError({ delay: 10 });
    if (job.data === 2 && job.attempt === 1) throw new Error("again");
    if (job.data === 3) throw new UnrecoverableJobError("never");
  }, { backoff: 10 });
  await queue.publishMany([1, 2, 3, 4].map((data) => ({ data })));
  const where = { "messaging.destination.name": "ended" };
  const ends = { completed: 3, postponed: 1, retried: 1, dead: 1 };
  await waitUntil(() => {
    const { completed, dead } = worker.status().ended;
    return completed === 3 && dead === 1;
  });
  assertEquals(await valuesBy("supercheck.jetstream.jobs", "job.outcome", where), ends);
  assertEquals(await valuesBy("messaging.client.consumed.messages", "messaging.destination.name", where), { ended: 6 });
  const byError = await valuesBy("messaging.process.duration", "error.type", where);
  assertEquals(byError, { undefined: 4, Error: 1, UnrecoverableJobError: 1 });
  assertSeconds(await telemetry.metric("messaging.process.duration"));
  await worker.stop();
});

test("a batch counts its jobs as consumed, and is timed once", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("batched");
  await queue.publishMany([1, 2, 3].map((data) => ({ data })));
  await using worker = queue.consumeBatches(() => {}, { size: 3, wait: 20_000 });
  await waitUntil(() => worker.status().ended.completed === 3);
  const where = { "messaging.destination.name": "batched" };
  assertEquals(await valuesBy("supercheck.jetstream.jobs", "job.outcome", where), { completed: 3 });
  assertEquals(await valuesBy("messaging.client.consumed.messages", "messaging.system", where), { nats: 3 });
  await waitUntil(async () => (await valuesBy("messaging.process.duration", "messaging.system", where)).nats === 1);
  await worker.stop();
});

test("calls of buckets are timed, those that degraded and reconnects are counted", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const before = (await telemetry.metric("supercheck.jetstream.calls.degraded")).points[0]?.value ?? 0;
  await stores.storeKV("k", "v");
  await server.restart();
  await waitUntil(() => stores.connectionCounters().connects === 2);
  await server.stop();
  assertEquals(await stores.loadKV("k"), null);
  assertEquals(await stores.loadKV("k"), null);
  const after = await telemetry.metric("supercheck.jetstream.calls.degraded");
  assertEquals(after, { unit: "{call}", points: [{ attributes: {}, value: before + 2 }] });
  const reconnects = await telemetry.metric("supercheck.jetstream.reconnects");
  assertEquals(reconnects, { unit: "{reconnect}", points: [{ attributes: {}, value: 1 }] });
  const shared = {
    "db.system.name": "nats",
    "db.namespace": "supercheck_kv",
    "server.address": "127.0.0.1",
    "server.port": server.port,
  };
  const duration = await telemetry.metric("db.client.operation.duration");
  assertEquals(duration.points.map(({ attributes, value }) => [attributes, value]), [
    [{ ...shared, "db.operation.name": "put" }, 1],
    [{ ...shared, "db.operation.name": "get", "error.type": "unavailable" }, 2],
  ]);
  assertSeconds(duration);
});

test("queues are asked how full they are as metrics are collected, and at no other time", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("deep");
  await queue.publishMany([{ data: 1 }, { data: 2 }, { data: 3, delay: 3_600_000 }]);
  const asked = () => requestsOf(server);
  const idle = await asked();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals(await asked(), idle);
  const where = { "messaging.destination.name": "deep" };
  assertEquals(await valuesBy("supercheck.jetstream.queue.depth", "job.state", where), {
    waiting: 2,
    active: 0,
    delayed: 1,
    dead: 0,
  });
  assert(await asked() > idle);
  const age = await telemetry.metric("supercheck.jetstream.queue.oldest_job_age");
  assertEquals(age.unit, "s");
  const [point] = age.points.filter(({ attributes }) => attributes["messaging.destination.name"] === "deep");
  assert(point.value > 0.09 && point.value < 30, String(point.value));
  // Those of stores that are closed are not asked any more.
  await stores.close();
  const closed = await asked();
  await telemetry.metric("supercheck.jetstream.queue.depth");
  assertEquals(await asked(), closed);
});

test("a worker reports the depth of its queue before it has a job", async () => {
  await using server = await startNatsServer();
  await using publisher = openStores(server.url);
  await publisher.jobQueue("paused").publish(1);
  await publisher.jobQueue("paused").pause();
  await publisher.close();
  await using stores = openStores(server.url);
  await using worker = stores.jobQueue("paused").consume(() => {});
  await stores.connect();
  const where = { "messaging.destination.name": "paused" };
  const depth = await valuesBy("supercheck.jetstream.queue.depth", "job.state", where);
  assertEquals(depth, { waiting: 1, active: 0, delayed: 0, dead: 0 });
  await worker.stop();
});

test("requests that wait for a reply are counted while they do", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await stores.storeKV("k", "v");
  const inFlight = async () => (await telemetry.metric("supercheck.jetstream.requests.in_flight")).points[0].value;
  assertEquals(await inFlight(), 0);
  await suspend(server);
  const reads = [stores.loadKV("k"), stores.loadKV("k"), stores.loadKV("k")];
  assertEquals(await inFlight(), 3);
  server.resume();
  await Promise.all(reads);
  assertEquals(await inFlight(), 0);
});

test("a queue that the user may not look at is asked for once, and its publishes work", async () => {
  const denied = `permissions: { publish: { deny: ["$JS.API.CONSUMER.>"] } }`;
  const users = `{ user: owner, password: p }, { user: producer, password: p, ${denied} }`;
  await using server = await startNatsServer({ config: `authorization { users: [${users}] }` });
  await using owner = openStores(server.url, { user: "owner", password: "p" });
  await owner.jobQueue("hidden").publish(1);
  await owner.close();
  await using producer = openStores(server.url, { user: "producer", password: "p" });
  const collectedAndAsked = async () => {
    await producer.jobQueue("hidden").publish(2);
    const before = await requestsOf(server);
    await telemetry.metric("supercheck.jetstream.queue.depth");
    return await requestsOf(server) - before;
  };
  assert(await collectedAndAsked() > 0);
  assertEquals(await collectedAndAsked(), 0);
  assertEquals((await producer.jobQueue("hidden").publish(3))?.queue, "hidden");
});
