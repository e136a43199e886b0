import { assertEquals } from "@std/assert";
import type { JobQueue } from "../../../mod.ts";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { Relay } from "../../_support/relay.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const test = testFrom("2.14");

const JOBS = 3_000;

/** Changes that are under way at the same time. */
const AT_ONCE = 64;

/** Jobs after which a worker stops. */
const RUNS_OF_A_WORKER = 40;

for (const replicas of [1, 3]) {
  const where = replicas === 1 ? "on one server" : "on three servers";

  test(`A worker that starts while a waiting job is being updated runs it once, with the new data, ${where}`, async () => {
    await using servers = await Servers.start(replicas);
    const { queue, distant } = servers;
    await using foreign = await ForeignClient.connect(servers.urls[0]);
    await queue.publish("old", { id: "a" });
    let announced = 0;
    foreign.connection.subscribe("wqevt.checks.changing", { callback: () => void announced++ });
    await foreign.connection.flush();
    servers.relay.slow("up", { delay: 300, chunk: 65_536 });
    const updated = distant.update("a", "new");
    // The second time it asks right behind whether the job was delivered, and decides.
    await waitUntil(() => announced === 2);
    const runs = new RecordedRuns<string>(({ signal }) =>
      new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve());
        setTimeout(resolve, 3_000);
      })
    );
    await using workers = new QueueStores(servers.urls.join(","));
    await using consumer = workers.jobQueue<string>("checks").consume(runs.handler);
    assertEquals(await updated, true);
    await waitUntil(() => consumer.status().ended.completed === 1);
    assertEquals(runs.all.map(({ data }) => data), ["new"]);
    await waitUntil(async () => (await foreign.messages("WQ_checks")).length === 0);
  });

  test(`JobQueue.update, while workers start and stop, runs each of ${JOBS} jobs once with the newest data ${where}`, async () => {
    await using servers = await Servers.start(replicas);
    const { queue, distant } = servers;
    const ids = Array.from({ length: JOBS }, (_, n) => `job${n}`);
    await queue.publishMany(ids.map((id) => ({ id, data: "old" })));
    servers.relay.slow("up", { delay: 10, chunk: 65_536 });
    const seen = new SeenJobs();
    const workers = Promise.all(Array.from({ length: 4 }, async () => {
      while (seen.size < JOBS) await workForAWhile(servers.urls, seen);
    }));
    const updated: (boolean | null)[] = [];
    const next = ids.keys();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const n of next) updated[n] = await distant.update(ids[n], "new");
    }));
    await workers;
    await waitUntil(async () => await left(queue) === 0);
    const expected = (n: number) => updated[n] === null ? seen.get(ids[n])! : updated[n] ? ["new"] : ["old"];
    const wrong = ids.filter((id, n) => String(seen.get(id)) !== String(expected(n)) || seen.get(id)!.length > 1);
    assertEquals(wrong.map((id) => [id, seen.get(id)]), []);
    assertEquals([new Set(updated).has(true), new Set(updated).has(false)], [true, true]);
  });
}

/** The data of all runs, by the job's id. */
class SeenJobs extends Map<string, string[]> {
  /** Resolves when each job has run. */
  readonly all = Promise.withResolvers<void>();

  add(id: string, data: string): void {
    this.set(id, [...this.get(id) ?? [], data]);
    if (this.size === JOBS) this.all.resolve();
  }
}

/** Serves a queue over a connection of its own until some jobs have run. */
async function workForAWhile(urls: string[], seen: SeenJobs): Promise<void> {
  await using stores = new QueueStores(urls.join(","));
  const enough = Promise.withResolvers<void>();
  let runs = 0;
  const consumer = stores.jobQueue<string>("checks").consume(async ({ id, data }) => {
    seen.add(id, data);
    if (++runs === RUNS_OF_A_WORKER) enough.resolve();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }, { concurrency: 4 });
  await Promise.race([enough.promise, seen.all.promise]);
  await consumer.stop();
}

async function left(queue: JobQueue<string>): Promise<number | undefined> {
  const counts = await queue.counts();
  return counts ? counts.active + counts.delayed + counts.ready.normal : undefined;
}

/** A queue on one server or three, near and over a link that can be slow. */
class Servers implements AsyncDisposable {
  readonly urls: string[];
  readonly relay: Relay;
  readonly queue: JobQueue<string>;
  /** The same queue over the link. */
  readonly distant: JobQueue<string>;
  readonly #cleanup: AsyncDisposableStack;

  private constructor(cleanup: AsyncDisposableStack, urls: string[], replicas: number) {
    this.#cleanup = cleanup;
    this.urls = urls;
    this.relay = cleanup.use(new Relay(urls[0], { alone: true }));
    const options = { timeout: 20_000 };
    this.queue = cleanup.use(new QueueStores(urls.join(","), options)).jobQueue("checks", { replicas });
    this.distant = cleanup.use(new QueueStores(this.relay.url, options)).jobQueue("checks", { replicas });
  }

  static async start(replicas: number): Promise<Servers> {
    await using cleanup = new AsyncDisposableStack();
    const urls = replicas === 1
      ? [cleanup.use(await startNatsServer()).url]
      : cleanup.use(await startNatsCluster()).urls;
    const servers = new Servers(cleanup.move(), urls, replicas);
    await servers.queue.open();
    await servers.distant.open();
    return servers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}
