import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { reload } from "../../_support/reload.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const WORKER = { user: "w", password: "w" };

Deno.test("JobConsumer that may not pull never says that it serves, and serves once it may", async () => {
  const deny = (subject: string) => `permissions: { publish: { deny: ["${subject}"] } }`;
  await using server = await startNatsServer({
    config: `authorization { users: [{ user: w, password: w, ${deny("$JS.API.CONSUMER.MSG.NEXT.>")} }] }`,
  });
  await using stores = new QueueStores(server.url, WORKER);
  const runs = new RecordedRuns();
  await stores.publishJob("checks", 1);
  await using consumer = stores.jobQueue("checks").consume(runs.handler);
  const states = new Set<string>();
  const lines = () => stores.log.filter((line) => line.includes("CONSUMER.MSG.NEXT"));
  // What is opened and refused again and again is told once.
  await waitUntil(() => {
    states.add(consumer.status().state);
    return lines().length > 0;
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  states.add(consumer.status().state);
  assertEquals(states.has("serving"), false);
  assert(consumer.status().reason?.includes("$JS.API.CONSUMER.MSG.NEXT.WQ_checks."), String(consumer.status().reason));
  assertEquals(lines().length, 1);
  await reload(server, deny("$JS.API.CONSUMER.MSG.NEXT.>"), deny("other"));
  await runs.started(1);
  await waitUntil(() => consumer.status().state === "serving");
});

Deno.test("JobConsumer serves once it may have as many subscriptions as it needs", async () => {
  const limit = "max_subscriptions: 4";
  await using server = await startNatsServer({
    config: `accounts { A { jetstream: enabled, limits { ${limit} }, users: [{ user: w, password: w }] } }`,
  });
  await using stores = new QueueStores(server.url, WORKER);
  const runs = new RecordedRuns();
  await using consumer = stores.jobQueue("checks").consume(runs.handler);
  await waitUntil(() => consumer.status().reason?.includes("maximum subscriptions exceeded") === true);
  assertEquals(consumer.status().state, "impaired");
  await reload(server, limit, "max_subscriptions: 100");
  await waitUntil(() => consumer.status().state === "serving");
  await stores.publishJob("checks", 1);
  await runs.started(1);
});

Deno.test("JobConsumer without a connection says why there is none", async () => {
  await using server = await startNatsServer({ config: "max_connections: 1" });
  await using first = new QueueStores(server.url);
  await first.connect();
  await using stores = new QueueStores(server.url);
  await using consumer = stores.jobQueue("checks").consume(() => {});
  await waitUntil(() => consumer.status().reason?.includes("maximum connections exceeded") === true);
  assertEquals(consumer.status().state, "connecting");
  await first.close();
  await waitUntil(() => consumer.status().state === "serving");
  assertEquals(consumer.status().reason, null);
});
