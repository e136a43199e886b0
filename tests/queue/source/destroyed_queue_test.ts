import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { reload } from "../../_support/reload.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

/** What a worker's log says of the end of its queue. */
function linesOf(stores: QueueStores): string[] {
  return stores.log.filter((line) => /destroyed|made again/.test(line));
}

Deno.test("JobQueue.destroy is not undone by a worker, which says so once and waits until a publish makes the queue again", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const aborted = Promise.withResolvers<void>();
  const runs = new RecordedRuns(async ({ id, signal, progress }) => {
    if (id !== "active") return;
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    aborted.resolve();
    // What a run still stores must not make the queue again, either.
    await progress(50);
    throw new Error("no");
  });
  const queue = stores.jobQueue("checks");
  await using consumer = queue.consume(runs.handler, { maxAttempts: 1 });
  await queue.publish(1, { id: "active", keepResult: 60_000 });
  await runs.started(1);
  assertEquals(await admin.jobQueue("checks").destroy(), true);
  await within(aborted.promise);
  await waitUntil(() => consumer.status().reason === "the queue was destroyed");
  await waitUntil(() => consumer.status().active === 0);
  assertEquals(consumer.status().state, "impaired");
  assertEquals(linesOf(stores), ["Queue checks was destroyed: its worker waits until it is made again"]);
  // The worker has looked at least twice since.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assertEquals((await foreign.api<{ streams: string[] | null }>("STREAM.NAMES")).streams, null);
  assertEquals(await admin.jobQueue("checks").destroy(), false);
  await admin.jobQueue("checks").publish(1, { id: "new" });
  await runs.started(2);
  await waitUntil(() => consumer.status().state === "serving");
  assertEquals(runs.ids, ["active", "new"]);
  assertEquals(linesOf(stores).slice(1), ["Queue checks was made again: its worker continues"]);
});

Deno.test("A worker whose queue was destroyed waits also after a reconnect, and a new worker makes the queue again", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using admin = new QueueStores(server.url);
  const runs = new RecordedRuns();
  await using consumer = stores.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => consumer.status().state === "serving");
  await admin.jobQueue("checks").destroy();
  await waitUntil(() => consumer.status().reason === "the queue was destroyed");
  await server.restart();
  await waitUntil(() => stores.connectionStatus() === "connected" && admin.connectionStatus() === "connected");
  await waitUntil(() => consumer.status().state === "impaired");
  assertEquals(await admin.jobQueue("checks").counts(), null);
  await using another = admin.jobQueue("checks").consume(() => {});
  await waitUntil(() => another.status().state === "serving" && consumer.status().state === "serving");
});

Deno.test("A worker whose queue was destroyed says once that it may not look for the queue, and serves it when it may", async () => {
  const denied = '"$JS.API.STREAM.INFO.WQ_checks"';
  const users = (deny: string) =>
    `authorization { users: [{ user: admin, password: p }, { user: worker, password: p, permissions: { publish: { deny: [${deny}] } } }] }`;
  await using server = await startNatsServer({ config: users('"none"') });
  await using stores = new QueueStores(server.url, { user: "worker", password: "p" });
  await using admin = new QueueStores(server.url, { user: "admin", password: "p" });
  const runs = new RecordedRuns();
  await using consumer = stores.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => consumer.status().state === "serving");
  await admin.jobQueue("checks").destroy();
  await waitUntil(() => consumer.status().reason === "the queue was destroyed");
  await reload(server, users('"none"'), users(denied));
  await waitUntil(() => consumer.status().reason?.includes("STREAM.INFO.WQ_checks") === true);
  await admin.jobQueue("checks").publish(1, { id: "a" });
  // It looks again several times.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assertEquals(consumer.status().state, "impaired");
  const lines = stores.log.filter((line) => line.includes("is not served"));
  assertEquals(lines.length, 1, lines.join("\n"));
  await reload(server, users(denied), users('"none"'));
  await runs.started(1);
  await waitUntil(() => consumer.status().state === "serving");
});

Deno.test("JobQueue.publish makes the durable consumers of a new queue, so that its depth is seen without a worker", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  await stores.publishJob("checks", 1);
  const { consumers } = await foreign.api<{ consumers: { name: string; num_pending: number }[] }>(
    "CONSUMER.LIST.WQ_checks",
  );
  assertEquals(
    consumers.map(({ name, num_pending }) => [name, num_pending]).sort(),
    [["high", 0], ["low", 0], ["normal", 1]],
  );
});

Deno.test("JobQueue.publish works for a producer that may not make consumers", async () => {
  const user = (name: string, deny: string[]) =>
    `{ user: ${name}, password: p, permissions: { publish: { deny: ${JSON.stringify(deny)} } } }`;
  await using server = await startNatsServer({
    config: `authorization { users: [${user("all", [])}, ${user("producer", ["$JS.API.CONSUMER.>"])}] }`,
  });
  await using stores = new QueueStores(server.url, { user: "producer", password: "p" });
  assertEquals((await stores.publishJob("checks", 1, { id: "a" }))?.duplicate, false);
  await using workers = new QueueStores(server.url, { user: "all", password: "p" });
  const runs = new RecordedRuns();
  await using _consumer = workers.jobQueue("checks").consume(runs.handler);
  await runs.started(1);
});
