import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { waitUntil } from "../../_support/wait_until.ts";
import { QueueStores } from "../../_support/queue_stores.ts";
import { RecordedRuns } from "../_recorded_runs.ts";

Deno.test("JobQueue keeps every confirmed job when the server is killed while jobs are published", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url, { timeout: 20_000 });
  const queue = stores.jobQueue("checks");
  const confirmed: string[] = [];
  let killed = false;
  const publish = async (lane: number) => {
    for (let n = 0; !killed; n++) {
      const receipt = await queue.publish({ n }, { id: `${lane}-${n}`, ...(n % 5 === 4 && { delay: 600_000 }) });
      if (receipt) confirmed.push(receipt.id);
    }
  };
  const lanes = Array.from({ length: 16 }, (_, lane) => publish(lane));
  await waitUntil(() => confirmed.length > 500);
  await server.kill();
  killed = true;
  await server.restart();
  await Promise.all(lanes);
  await stores.connect();
  const infos = await Promise.all(confirmed.map((id) => queue.get(id)));
  assertEquals(confirmed.filter((_, index) => infos[index] === null), []);
  assertEquals([...new Set(infos.map((info) => info?.state))].toSorted(), ["delayed", "ready"]);
});

Deno.test("JobConsumer continues after the server was killed: every job runs, delayed ones too", async () => {
  await using server = await startNatsServer();
  await using stores = new QueueStores(server.url);
  const queue = stores.jobQueue("checks", { lease: 1_000 });
  const confirmed = await queue.publishMany(
    Array.from({ length: 200 }, (_, n) => ({ data: n, id: `job${n}`, ...(n % 4 === 3 && { delay: 1_500 }) })),
  );
  assert(confirmed?.every((receipt) => receipt !== null));
  let killed: Promise<void> | null = null;
  const runs = new RecordedRuns(async () => {
    if (runs.all.length === 60) killed = server.kill().then(() => server.restart());
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
  await using consumer = queue.consume(runs.handler, { concurrency: 4 });
  await waitUntil(() => new Set(runs.ids).size === 200);
  await killed;
  await waitUntil(async () => {
    const counts = await queue.counts();
    return counts !== null && counts.active + counts.delayed + counts.ready.normal === 0;
  });
  // Those that were under way when the server died may have run twice, no others.
  assert(runs.all.length <= 200 + 2 * 4 + 20, `${runs.all.length} runs`);
  await waitUntil(() => consumer.status().state === "serving");
});
