import { assert, assertEquals } from "@std/assert";
import { type NatsCluster, type NatsServer, startNatsCluster } from "../../../src/testing/mod.ts";
import { startProcess } from "../../_support/start_process.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const WORKER = new URL("./_rate_worker.ts", import.meta.url);

/** Milliseconds that two elections of a leader may take on a busy machine. */
const ELECTIONS_MS = 120_000;

/** The server that leads the stream of the permits, once there is one. */
async function leaderOf(cluster: NatsCluster): Promise<NatsServer> {
  let leader: NatsServer | undefined;
  await waitUntil(async () => {
    await using foreign = await ForeignClient.connect(cluster.urls.join(","));
    const asked = foreign.request<{ cluster?: { leader?: string } }>("STREAM.INFO.WQRATE_checks");
    // Nobody answers while there is none.
    const info = await asked.catch(() => undefined);
    leader = cluster.servers.find(({ name }) => name === info?.cluster?.leader);
    return leader !== undefined;
  }, ELECTIONS_MS);
  return leader!;
}

Deno.test("JobQueue.limitRate holds on three replicas over 8 workers, though workers and the leader of the permits are killed", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using stores = new QueueStores(cluster.urls.join(","), { timeout: 30_000 });
  await using cleanup = new AsyncDisposableStack();
  const queue = stores.jobQueue<number>("checks", { lease: 2_000, replicas: 3 });
  // Longer than a busy machine keeps a worker that has its permit from looking at the clock.
  const rate = { jobs: 10, interval: 2_500 };
  assertEquals(await queue.limitRate(rate), true);
  await queue.publishMany(Array.from({ length: 100 }, (_, n) => ({ data: n })));
  const starts: number[] = [];
  const start = () => {
    const worker = cleanup.use(startProcess(WORKER, cluster.urls.join(","), "checks"));
    const follow = async () => {
      for (;;) {
        const [, at] = (await worker.nextLine()).split(" ");
        if (at !== undefined) starts.push(Number(at));
      }
    };
    follow().catch(() => {});
    return worker;
  };
  const workers = Array.from({ length: 8 }, start);
  const killed: number[] = [0];
  for (const [i, after] of [20, 50].entries()) {
    await waitUntil(() => starts.length >= after, ELECTIONS_MS);
    await workers[i].kill();
    start();
    const leader = await leaderOf(cluster);
    killed.push(performance.timeOrigin + performance.now());
    await leader.kill();
    await waitUntil(() => starts.length >= after + 15, ELECTIONS_MS);
    await leader.restart();
  }
  for (const from of killed) {
    const [first, ...others] = starts.filter((at) => at > from).sort((a, b) => a - b);
    for (const [n, at] of others.entries()) {
      // A start may be read from the clock up to an interval late.
      const intervals = 2 + Math.floor((at - first) / (0.97 * rate.interval));
      assert(n + 2 <= rate.jobs * intervals + workers.length, `start ${n + 2} ${at - first} ms after the first`);
    }
  }
});

Deno.test("JobQueue.limitRate on three replicas remembers what has started when the leader of the permits is killed, and can be changed then", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using stores = new QueueStores(cluster.urls.join(","), { timeout: 60_000 });
  await using others = new QueueStores(cluster.urls.join(","), { timeout: 60_000 });
  await using foreign = await ForeignClient.connect(cluster.urls[0]);
  const queue = stores.jobQueue<number>("checks", { lease: 2_000, replicas: 3 });
  assertEquals(await queue.limitRate({ jobs: 5, interval: 3_600_000 }), true);
  const runs = new RecordedRuns<number>();
  const consumers = [stores, others].map((each) => each.jobQueue<number>("checks").consume(runs.handler));
  await queue.publishMany(Array.from({ length: 40 }, (_, n) => ({ data: n })));
  await runs.started(5);
  // Each waits for a permit.
  await waitUntil(() => consumers.every((consumer) => consumer.status().prefetched > 0));
  await waitUntil(async () => {
    const { cluster: group } = await foreign.request<{ cluster: { replicas: { current: boolean; lag?: number }[] } }>(
      "CONSUMER.INFO.WQRATE_checks.permits",
    );
    return group.replicas.every(({ current, lag }) => current && !lag);
  }, ELECTIONS_MS);
  const leader = await leaderOf(cluster);
  await leader.kill();
  // It stores another permit, which the next leader must confirm.
  await waitUntil(async () => await queue.limitRate({ jobs: 6, interval: 3_600_000 }) === true, ELECTIONS_MS);
  await waitUntil(() => runs.all.length >= 6, ELECTIONS_MS);
  // Two starts that the last leader had not told the others yet.
  assert(runs.all.length <= 6 + consumers.length, `${runs.all.length}`);
  await leader.restart();
  // To wait for a permit is no failure.
  await waitUntil(() => consumers.every((consumer) => consumer.status().state === "serving"), ELECTIONS_MS);
  await waitUntil(async () => await queue.limitRate({ jobs: 100, interval: 100 }) === true, ELECTIONS_MS);
  await waitUntil(async () => (await queue.counts())?.ready.normal === 0, ELECTIONS_MS);
  await Promise.all(consumers.map((consumer) => consumer.stop()));
});
