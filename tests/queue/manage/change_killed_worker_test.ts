import { assert, assertEquals } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { Relay } from "../../_support/relay.ts";
import { startProcess } from "../../_support/start_process.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

const test = testFrom("2.14");

const WORKER = new URL("_change_worker.ts", import.meta.url);

const JOBS = 400;

/** Starts of a worker after which it is killed. */
const STARTS_OF_A_WORKER = 25;

/** Jobs that a worker runs at the same time. */
const CONCURRENCY = 4;

for (const replicas of [1, 3]) {
  const where = replicas === 1 ? "on one server" : "on three servers";

  test(`JobQueue.update, while workers are killed, leaves each job with the data that it confirmed ${where}`, async () => {
    await using cleanup = new AsyncDisposableStack();
    const urls = replicas === 1
      ? [cleanup.use(await startNatsServer()).url]
      : cleanup.use(await startNatsCluster()).urls;
    await using relay = new Relay(urls[0], { alone: true });
    await using stores = new QueueStores(urls.join(","));
    await using distant = new QueueStores(relay.url, { timeout: 20_000 });
    const queue = stores.jobQueue<string>("checks", { replicas, lease: 4_000 });
    const ids = Array.from({ length: JOBS }, (_, n) => `job${n}`);
    await queue.publishMany(ids.map((id) => ({ id, data: "old" })));
    const changer = distant.jobQueue<string>("checks");
    await changer.open();
    relay.slow("up", { delay: 10, chunk: 65_536 });
    const started: Started = new Map();
    const over = Promise.withResolvers<null>();
    let isOver = false;
    let killed = 0;
    const workers = Promise.all(Array.from({ length: 2 }, async () => {
      while (!isOver) {
        await workUntilKilled(urls, started, over.promise);
        killed++;
      }
    }));
    await waitUntil(() => started.size > 0);
    const updated: (boolean | null)[] = [];
    const next = ids.keys();
    await Promise.all(Array.from({ length: 16 }, async () => {
      for (const n of next) updated[n] = await changer.update(ids[n], "new");
    }));
    await waitUntil(async () => {
      const counts = await queue.counts();
      return counts !== null && counts.active + counts.delayed + counts.ready.normal === 0;
    }, 120_000);
    isOver = true;
    over.resolve(null);
    await workers;
    const wrong = ids.filter((id, n) => {
      const data = [...new Set(started.get(id))];
      return data.length !== 1 || updated[n] !== null && data[0] !== (updated[n] ? "new" : "old");
    });
    assertEquals(wrong.map((id) => [id, started.get(id)]), []);
    assert(updated.includes(true) && updated.includes(false));
    // Only what a killed worker had started may start again.
    const starts = [...started.values()].flat().length;
    assert(starts <= JOBS + killed * CONCURRENCY, `${starts} starts, ${killed} workers killed`);
  });
}

/** The data with which each job was started, each time. */
type Started = Map<string, string[]>;

/** Runs a worker, and kills it after some starts, or when all is over. */
async function workUntilKilled(urls: string[], started: Started, over: Promise<null>): Promise<void> {
  await using worker = startProcess(WORKER, urls.join(","), "checks", `${CONCURRENCY}`);
  for (let starts = 1;; starts++) {
    // What it printed before it died counts, too.
    const line = await Promise.race([over, worker.nextLine().catch(() => null)]);
    if (line === null) return;
    const [id, data] = line.split(" ");
    started.set(id, [...started.get(id) ?? [], data]);
    if (starts === STARTS_OF_A_WORKER) worker.signal("SIGKILL");
  }
}
