import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import type { BackoffOption, PublishOptions } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { ForeignClient } from "../../_support/foreign_client.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

/** Milliseconds by which the server's schedules may fire late. */
const LATE = 4_000;

/** Milliseconds between the four attempts of a job that fails three times. */
async function waits(consumer: BackoffOption | undefined, publish: PublishOptions = {}): Promise<number[]> {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const runs = new RecordedRuns(({ attempt }) => {
    if (attempt < 4) throw new Error("no");
  });
  await using working = queue.consume(runs.handler, { backoff: consumer });
  await queue.publish(1, publish);
  await waitUntil(() => working.status().ended.completed === 1, 20_000);
  return runs.all.slice(1).map(({ at }, index) => at - runs.all[index].at);
}

function assertWaits(actual: number[], wanted: [least: number, most: number][]): void {
  assertEquals(actual.length, wanted.length);
  for (const [index, [least, most]] of wanted.entries()) {
    // A millisecond less: the due moment is rounded to whole ones.
    assert(
      actual[index] >= least - 1 && actual[index] <= most + LATE,
      `wait ${index + 1} of ${actual}: ${wanted[index]}`,
    );
  }
}

Deno.test("JobConsumer waits the same time before each retry when backoff is a number", async () => {
  assertWaits(await waits(300), [[300, 300], [300, 300], [300, 300]]);
});

Deno.test("JobConsumer waits what a list says, and repeats its last number", async () => {
  assertWaits(await waits([0, 400]), [[0, 0], [400, 400], [400, 400]]);
});

Deno.test("JobConsumer waits longer after each failure when backoff is exponential, up to max, with jitter", async () => {
  assertWaits(await waits({ base: 200, max: 500 }), [[100, 200], [200, 400], [250, 500]]);
});

Deno.test("JobConsumer asks a backoff function, with the attempt that failed and its error", async () => {
  const asked: unknown[] = [];
  const backoff = (attempt: number, error: unknown) => {
    asked.push([attempt, (error as Error).message]);
    return attempt * 150;
  };
  assertWaits(await waits(backoff), [[150, 150], [300, 300], [450, 450]]);
  assertEquals(asked, [[1, "no"], [2, "no"], [3, "no"]]);
});

Deno.test("JobConsumer goes by a job's own backoff before its own", async () => {
  assertWaits(await waits(5_000, { backoff: [0, 200, 0] }), [[0, 0], [200, 200], [0, 0]]);
  assertWaits(await waits(() => 5_000, { backoff: { base: 10, max: 10 } }), [[5, 10], [5, 10], [5, 10]]);
});

Deno.test("JobConsumer waits half a second to a second before the first retry by default", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  await using foreign = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("checks");
  let failed = Infinity;
  const gate = Promise.withResolvers<void>();
  await using _consumer = queue.consume(({ attempt }) => {
    if (attempt > 1) return gate.promise;
    failed = Date.now();
    throw new Error("no");
  });
  await queue.publish(1, { id: "a" });
  // What its schedule makes of it has this header, too.
  let due: string | undefined;
  await waitUntil(async () => {
    due = (await foreign.messages("WQ_checks")).at(-1)?.headers["Job-Due"];
    return due !== undefined;
  });
  const wait = Date.parse(due!) - failed;
  // The server's clock, by which it goes, is known to a few milliseconds.
  assertGreater(wait, 450);
  assertLess(wait, 4_000);
  gate.resolve();
});

Deno.test("JobConsumer counts an attempt also when the backoff function fails or makes no sense", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks");
  const functions: [name: string, backoff: () => number][] = [
    ["throws", () => {
      throw new Error("of backoff");
    }],
    ["endless", () => Infinity],
    ["huge", () => 1e300],
    ["negative", () => -5],
    ["none", () => NaN],
  ];
  for (const [name, backoff] of functions) {
    await using consumer = queue.consume(() => {
      throw new Error("no");
    }, { backoff, maxAttempts: 1_000_000 });
    await queue.publish(1, { id: name });
    await waitUntil(() => consumer.status().ended.retried >= 1);
    assertEquals(consumer.status().ended.released, 0, name);
    await consumer.stop();
    assertGreater((await queue.get(name))!.attempt, 1, name);
    await queue.cancel(name);
  }
  assert(stores.log.some((line) => line.includes("of backoff")), "the failure of the function is logged");
});
