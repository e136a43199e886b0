import { assert, assertEquals } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { waitUntil } from "../../_support/wait_until.ts";

const RESTARTS = 50;
const JOBS = 300;
const NAME = "restarts";

/** Servers that deliver into the inbox of a worker that has gone, for up to two seconds. */
const SERVERS = [
  ["a server with leafnodes", () => startNatsServer({ config: `leafnodes { listen: "127.0.0.1:-1" }` })],
  ["a cluster with leafnodes", () => startNatsCluster({ config: `leafnodes { listen: "127.0.0.1:-1" }` })],
  [
    "a cluster with gateways",
    () => startNatsCluster({ name: NAME, config: `gateway { name: "${NAME}", listen: "127.0.0.1:-1" }` }),
  ],
] as const;

for (const [what, start] of SERVERS) {
  Deno.test(`JobConsumer that is restarted ${RESTARTS} times runs each job of ${what} once, and none becomes a dead letter`, async () => {
    await using server = await start();
    const urls = "urls" in server ? server.urls.join(",") : server.url;
    const replicas = "urls" in server ? 3 : 1;
    // A busy machine takes its time to make a stream and its consumers on three servers.
    await using producer = new QueueStores(urls, { timeout: 20_000 });
    const queue = producer.jobQueue("checks", { replicas });
    assertEquals(await queue.open(), true);
    const runs = new Map<string, number>();
    const publishing = (async () => {
      for (let n = 0; n < JOBS; n++) {
        assert(await queue.publish(n, { id: `job${n}` }));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    for (let restart = 0; restart < RESTARTS; restart++) {
      await using stores = new QueueStores(urls);
      const worker = stores.jobQueue("checks").consume(({ id }) => void runs.set(id, (runs.get(id) ?? 0) + 1), {
        concurrency: 5,
        prefetch: 20,
      });
      await waitUntil(() => worker.status().state === "serving" || worker.status().ended.completed > 0);
      await new Promise((resolve) => setTimeout(resolve, 40));
      await worker.stop();
    }
    await publishing;
    await using last = new QueueStores(urls);
    await using _worker = last.jobQueue("checks").consume(({ id }) => void runs.set(id, (runs.get(id) ?? 0) + 1));
    await waitUntil(() => runs.size === JOBS, 120_000);
    await waitUntil(async () => {
      const counts = await queue.counts();
      return counts !== null && counts.active + counts.delayed + counts.ready.normal === 0;
    }, 120_000);
    assertEquals((await queue.counts())?.dead, 0);
    assertEquals([...runs].filter(([, times]) => times !== 1), []);
  });
}
