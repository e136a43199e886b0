import { assert, assertEquals } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { openStores } from "../../_support/open_stores.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { api } from "../../ledger/api.ts";

/** Milliseconds. */
const LEASE = 10_000;
/** Milliseconds within which a server that has restarted, or leads since a moment ago, looks for leases that are over. */
const LOOKS = 1_500;
const JOBS = ["a", "b", "c", "d", "e", "f"];

/**
 * Lets jobs wait for longer than their lease before they are handed out, and then something happen to the server while two workers run them. A
 * server keeps the time of the message, not that of its delivery, for what it remembers of a lease.
 */
async function runAcross(servers: string[], replicas: number, happen: () => Promise<unknown>): Promise<string[]> {
  await using publisher = openStores(servers);
  const queue = publisher.jobQueue("waited", { lease: LEASE, replicas });
  for (const id of JOBS) assert(await queue.publish(null, { id }));
  await new Promise((resolve) => setTimeout(resolve, LEASE + 200));

  const gate = Promise.withResolvers<void>();
  const runs: string[] = [];
  const work = async ({ id }: { id: string }) => {
    runs.push(id);
    await gate.promise;
  };
  await using one = openStores(servers);
  await using other = openStores(servers);
  one.jobQueue("waited").consume(work, { concurrency: JOBS.length });
  await waitUntil(() => runs.length === JOBS.length);
  const idle = other.jobQueue("waited").consume(work, { concurrency: JOBS.length });
  await waitUntil(() => idle.status().state === "serving");
  await happen();
  await waitUntil(() => idle.status().state === "serving");
  await new Promise((resolve) => setTimeout(resolve, LOOKS + 200));
  gate.resolve();
  await waitUntil(async () => (await queue.counts())?.active === 0);
  return runs;
}

Deno.test("JobConsumer's jobs that had waited for longer than their lease run once when the server is restarted", async () => {
  await using server = await startNatsServer();
  assertEquals((await runAcross([server.url], 1, () => server.restart())).toSorted(), JOBS);
});

Deno.test("JobConsumer's jobs that had waited for longer than their lease run once when the leader changes", async () => {
  await using cluster = await startNatsCluster();
  const runs = await runAcross(
    cluster.urls,
    3,
    () => api(cluster.urls, "CONSUMER.LEADER.STEPDOWN.WQ_waited.normal"),
  );
  assertEquals(runs.toSorted(), JOBS);
});
