import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

const HOUR = 3_600_000;

/** Changes what the clocks of this process tell, until disposed. */
class Clocks implements Disposable {
  readonly #date = Date.now;
  readonly #performance = performance.now;

  /** Somebody sets the clock of the machine forward. */
  set(by: number): void {
    const now = this.#date;
    Date.now = () => now() + by;
  }

  /** The machine was suspended: its clock, and those of others, went on, and the timers of its processes did not. */
  suspended(ms: number): void {
    const now = this.#performance;
    performance.now = () => now.call(performance) - ms;
  }

  [Symbol.dispose](): void {
    Date.now = this.#date;
    performance.now = this.#performance;
  }
}

for (const what of ["returns", "throws"]) {
  Deno.test(`A step of the machine's clock aborts no run, drops no fetched job, and costs no attempt of a job that ${what}`, async () => {
    await using server = await startNatsServer();
    await using stores = new QueueStores(server.url);
    const queue = stores.jobQueue("checks", { lease: 20_000 });
    const go = Promise.withResolvers<void>();
    let aborted = 0;
    const runs = new RecordedRuns(async ({ id, attempt, signal }) => {
      signal.addEventListener("abort", () => aborted++);
      if (id !== "last") await go.promise;
      if (what === "throws" && id === "a" && attempt === 1) throw new Error("once");
    });
    await using consumer = queue.consume(runs.handler, { concurrency: 2, prefetch: 3, backoff: 0 });
    for (const id of ["a", "b", "c"]) await queue.publish(1, { id });
    await waitUntil(() => consumer.status().active === 2 && consumer.status().prefetched === 1);
    using clocks = new Clocks();
    clocks.set(HOUR);
    // One that is delivered makes the worker look at the clock. With half of what it may fetch ahead it would fetch no more.
    await queue.publish(1, { id: "last" });
    await waitUntil(() => consumer.status().prefetched === 2);
    go.resolve();
    await waitUntil(() => consumer.status().ended.completed === 4);
    assertEquals(aborted, 0);
    assertEquals(runs.all.filter(({ deliveries }) => deliveries !== 1), []);
    assertEquals(runs.all.length, what === "throws" ? 5 : 4);
    assertEquals(consumer.status().ended.released, 0);
  });
}

Deno.test("A suspension of the machine aborts what runs, and drops what was fetched, once the server's time has shown it", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 20_000 });
  const reasons: string[] = [];
  const consumer = queue.consume(async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    reasons.push(signal.reason.message);
  }, { prefetch: 1 });
  for (const id of ["a", "b"]) await queue.publish(1, { id });
  await waitUntil(() => consumer.status().active === 1 && consumer.status().prefetched === 1);
  {
    using clocks = new Clocks();
    clocks.suspended(HOUR);
    await waitUntil(() => consumer.status().ended.released === 1);
    assertEquals(reasons, ["The lease was lost"]);
    // Both are the server's to deliver again, when it deems their leases over.
    assertEquals([consumer.status().active, consumer.status().prefetched], [0, 0]);
    assertEquals((await queue.counts())?.active, 2);
    await consumer.stop({ deadline: 0 });
  }
});
