import { assertEquals } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../../src/testing/mod.ts";
import { testFrom } from "../../_support/test_from.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";

const test = testFrom("2.14");

const JOBS = 3_000;

/** Changes that are under way at the same time. */
const AT_ONCE = 64;

for (const replicas of [1, 3]) {
  const where = replicas === 1 ? "on one server" : "on three servers";

  test(`JobQueue.promote, while schedules fire, runs each of ${JOBS} jobs once ${where}`, async () => {
    await using fixture = await Racing.start(replicas);
    const { queue } = fixture;
    const promoted = await fixture.change((id) => queue.promote(id));
    await fixture.allRun();
    assertEquals(fixture.runsOf("old"), JOBS);
    assertEquals(new Set(promoted).has(null), false);
  });

  test(`JobQueue.reschedule, while schedules fire, runs each of ${JOBS} jobs once ${where}`, async () => {
    await using fixture = await Racing.start(replicas);
    const { queue } = fixture;
    const moved = await fixture.change((id) => queue.reschedule(id, { delay: 2_500 }));
    await fixture.allRun();
    assertEquals(fixture.runsOf("old"), JOBS);
    assertEquals(new Set(moved).has(null), false);
  });

  test(`JobQueue.update, while schedules fire, runs each of ${JOBS} jobs once with the newest data ${where}`, async () => {
    await using fixture = await Racing.start(replicas);
    const { queue } = fixture;
    const updated = await fixture.change((id) => queue.update(id, "new"));
    await fixture.allRun();
    assertEquals(new Set(updated).has(null), false);
    const wrong = updated.flatMap((done, n) => fixture.seen.get(`job${n}`)![0] === (done ? "new" : "old") ? [] : [n]);
    assertEquals(wrong, []);
  });
}

/** Delayed jobs that become due while they are being changed, and workers that are too slow for them. */
class Racing implements AsyncDisposable {
  readonly queue;
  /** The data of all runs, by the job's id. */
  readonly seen: Map<string, string[]> = new Map();
  readonly #cleanup: AsyncDisposableStack;

  private constructor(cleanup: AsyncDisposableStack, url: string, replicas: number) {
    this.#cleanup = cleanup;
    const stores = cleanup.use(new QueueStores(url, { timeout: 20_000 }));
    this.queue = stores.jobQueue<string>("checks", { replicas });
  }

  static async start(replicas: number): Promise<Racing> {
    await using cleanup = new AsyncDisposableStack();
    const url = replicas === 1
      ? cleanup.use(await startNatsServer()).url
      : cleanup.use(await startNatsCluster()).urls.join(",");
    const racing = new Racing(cleanup.move(), url, replicas);
    const begin = Date.now() + 3_000;
    const ids = Array.from({ length: JOBS }, (_, n) => n);
    await racing.queue.publishMany(
      ids.map((n) => ({ data: "old", id: `job${n}`, runAt: new Date(begin + n % 1_500) })),
    );
    const handler = ({ id, data }: { id: string; data: string }) => {
      racing.seen.set(id, [...racing.seen.get(id) ?? [], data]);
      return new Promise((resolve) => setTimeout(resolve, 5));
    };
    // Workers that share nothing in this process.
    for (const workers of [new QueueStores(url), new QueueStores(url)]) {
      racing.#cleanup.use(workers);
      racing.#cleanup.use(workers.jobQueue<string>("checks").consume(handler, { concurrency: 4 }));
    }
    await waitUntil(() => Date.now() > begin);
    return racing;
  }

  /** Changes all jobs, those first that are due first. */
  async change(make: (id: string) => Promise<boolean | null>): Promise<(boolean | null)[]> {
    const order = Array.from({ length: JOBS }, (_, n) => n).sort((a, b) => a % 1_500 - b % 1_500);
    const done: (boolean | null)[] = [];
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let n = order.shift(); n !== undefined; n = order.shift()) done[n] = await make(`job${n}`);
    }));
    return done;
  }

  /** Waits until nothing is in the queue; no job may have run twice. */
  async allRun(): Promise<void> {
    await waitUntil(async () => {
      const counts = await this.queue.counts();
      return counts !== null && counts.active + counts.delayed + counts.ready.normal === 0;
    }, 60_000);
    assertEquals([...this.seen].filter(([, runs]) => runs.length > 1), []);
    assertEquals(this.seen.size, JOBS);
  }

  /** How many jobs have run with this data. */
  runsOf(data: string): number {
    return [...this.seen.values()].filter((runs) => runs.every((run) => run === data)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}
