import { assertEquals, assertNotEquals } from "@std/assert";
import type { JobQueue } from "../../../mod.ts";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { Proxy, type Tampering } from "../../_support/proxy.ts";
import { Relay } from "../../_support/relay.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

/** Longer than a worker or another call waits for a call that died, and than its copy takes to fire. */
const PATIENCE_MS = 90_000;

test("A change whose call has died is ended by a worker, or by another call, and its job runs once", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url, { timeout: PATIENCE_MS });
  const run = async (name: string, change?: string) => {
    const queue = stores.jobQueue<string>(name);
    const changed = change === undefined ? null : await queue.update("a", change);
    const runs = new RecordedRuns<string>();
    await using consumer = queue.consume(runs.handler);
    await waitUntil(() => consumer.status().ended.completed > 0, PATIENCE_MS);
    await waitUntil(async () => await queue.get("a") === null);
    return [changed, ...runs.all.map(({ data }) => data)];
  };
  for (const name of ["undecided", "undecided-changed"]) await dieAt(server.url, name, "CONSUMER.INFO", 2);
  for (const name of ["decided", "decided-changed"]) await dieAt(server.url, name, "STREAM.MSG.DELETE", 1);
  const ends = await Promise.all([
    run("undecided"),
    run("decided"),
    run("undecided-changed", "newest"),
    run("decided-changed", "newest"),
  ]);
  assertEquals(ends, [[null, "old"], [null, "new"], [true, "newest"], [true, "newest"]]);
});

test("A worker ends a change whose call has died though its copy is due later, before anybody gets the job", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const later = (queue: JobQueue<string>) => queue.reschedule("a", { delay: 3_600_000 });
  await dieAt(server.url, "checks", "STREAM.MSG.DELETE", 1, later);
  const subjects = async () => (await foreign.messages("WQ_checks")).map(({ subject }) => subject);
  assertEquals(await subjects(), ["wq.checks.ready.normal.a", "wq.checks.keyed.changing.a"]);
  const queue = stores.jobQueue<string>("checks", { lease: 1_000 });
  await using _consumer = queue.consume(() => {}, { priorities: ["high"] });
  await waitUntil(async () => (await subjects()).length === 1, PATIENCE_MS);
  assertEquals((await queue.get("a"))?.state, "delayed");
});

test("JobQueue.update whose connection is lost until after its time withdraws its copy once it is back", async () => {
  await using server = await startNatsServer();
  await using owner = new QueueStores(server.url);
  const tampering: Tampering = {};
  await using proxy = new Proxy(server.url, tampering);
  await using stores = new QueueStores(proxy.url, { timeout: 5_000 });
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue<string>("checks");
  await queue.open();
  for (const id of ["updated", "replaced"]) {
    await owner.jobQueue<string>("checks").publish("old", { id });
    let isCut = false;
    tampering.refuse = () => isCut;
    // The answer by which it would decide, or withdraw the copy.
    tampering.drop = (_, payload) => {
      if (isCut || !payload.includes('"stream":"WQ_checks"') || !payload.includes('"seq"')) return isCut;
      isCut = true;
      queueMicrotask(() => proxy.cut());
      return true;
    };
    const result = id === "updated" ? queue.update(id, "new") : queue.publish("new", { id, replace: true });
    assertEquals(await result, null);
    assertEquals((await foreign.messages("WQ_checks", `wq.checks.*.*.${id}`)).length, 2);
    isCut = false;
    tampering.drop = tampering.refuse = undefined;
    await waitUntil(async () => (await foreign.messages("WQ_checks", `wq.checks.*.*.${id}`)).length === 1);
    assertEquals((await queue.get(id))?.data, "old");
  }
});

test("JetStreamStores.close does not wait for the withdrawal of a copy", async () => {
  await using server = await startNatsServer();
  await using owner = new QueueStores(server.url);
  const tampering: Tampering = {};
  await using proxy = new Proxy(server.url, tampering);
  const stores = new QueueStores(proxy.url, { timeout: 5_000 });
  const queue = stores.jobQueue<string>("checks");
  assertNotEquals(await owner.jobQueue<string>("checks").publish("old", { id: "a" }), null);
  await stores.connect();
  let isSilent = false;
  tampering.lose = (subject) => {
    isSilent ||= subject === "wq.checks.keyed.changing.a";
    return false;
  };
  tampering.drop = (subject) => isSilent && subject.startsWith("_INBOX");
  assertEquals([await queue.update("a", "new"), isSilent], [null, true]);
  assertEquals(stores.connectionCounters().degraded, 1);
  // It would last until the deadline.
  let isClosed = false;
  const closed = stores.close({ deadline: 60_000 }).then(() => isClosed = true);
  await waitUntil(() => isClosed);
  await closed;
});

for (const replicas of [1, 3]) {
  const where = replicas === 1 ? "on one server" : "on three servers";

  test(`JobQueue.update that ends before it has decided withdraws its copy, so that no worker waits for that, ${where}`, async () => {
    await using cleanup = new AsyncDisposableStack();
    const url = await startServers(cleanup, replicas);
    await using owner = new QueueStores(url);
    let looks = -Infinity;
    const drop = (_: string, payload: string) => payload.includes("consumer_info_response") && ++looks > 1;
    await using proxy = new Proxy(url, { drop });
    await using stores = new QueueStores(proxy.url, { timeout: 5_000 });
    await using foreign = await ForeignClient.connect(url);
    const options = { replicas };
    const [queue, other] = [stores.jobQueue<string>("checks", options), owner.jobQueue<string>("checks", options)];
    await queue.open();
    await other.publish("old", { id: "a" });
    looks = 0;
    const updated = queue.update("a", "new");
    await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 2);
    const runs = new RecordedRuns<string>();
    await using consumer = other.consume(runs.handler);
    assertEquals(await updated, null);
    await waitUntil(() => consumer.status().ended.completed === 1);
    assertEquals(runs.all.map(({ data }) => data), ["old"]);
    await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
  });

  test(`JobQueue.update that decides too late leaves the job to the worker that has waited for it ${where}`, async () => {
    await using cleanup = new AsyncDisposableStack();
    const url = await startServers(cleanup, replicas);
    await using relay = new Relay(url, { alone: true });
    await using owner = new QueueStores(url);
    await using stores = new QueueStores(relay.url, { timeout: PATIENCE_MS });
    await using foreign = await ForeignClient.connect(url);
    const options = { replicas };
    const [queue, other] = [stores.jobQueue<string>("checks", options), owner.jobQueue<string>("checks", options)];
    await queue.open();
    await other.publish("old", { id: "a" });
    let announced = 0;
    foreign.connection.subscribe("wqevt.checks.changing", { callback: () => void announced++ });
    await foreign.connection.flush();
    relay.slow("up", { delay: 300, chunk: 65_536 });
    const updated = queue.update("a", "new");
    // It has asked whether the job was delivered, and its decision is on its way.
    await waitUntil(() => announced === 2);
    relay.hold("up");
    const runs = new RecordedRuns<string>();
    await using consumer = other.consume(runs.handler);
    await waitUntil(() => consumer.status().ended.completed === 1, PATIENCE_MS);
    relay.slow("up", null);
    relay.release("up");
    assertNotEquals(await updated, true);
    assertEquals(runs.all.map(({ data }) => data), ["old"]);
    await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
  });
}

/** Starts one server or three; returns the URL of one. */
async function startServers(cleanup: AsyncDisposableStack, replicas: number): Promise<string> {
  if (replicas === 1) return cleanup.use(await startNatsServer()).url;
  return cleanup.use(await startNatsCluster()).urls[0];
}

/** Publishes a job, and begins a change of it that ends before the server gets the nth request of a kind. */
async function dieAt(
  url: string,
  name: string,
  request: string,
  nth: number,
  change: (queue: JobQueue<string>) => Promise<unknown> = (queue) => queue.update("a", "new"),
): Promise<void> {
  let isChanging = false;
  let seen = 0;
  const stopAt = (subject: string) => isChanging && subject.includes(request) && ++seen === nth;
  await using relay = new Relay(url, { stopAt });
  await using stores = new QueueStores(relay.url);
  const queue = stores.jobQueue<string>(name);
  await queue.publish("old", { id: "a" });
  isChanging = true;
  change(queue);
  await relay.stopped;
  await stores.close({ deadline: 0 });
}
