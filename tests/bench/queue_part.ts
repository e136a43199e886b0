import { compareConsume } from "./_compare_consume.ts";
import { compareBatches, comparePublish } from "./_compare_publish.ts";
import { compareStart } from "./_compare_start.ts";
import type { Comparison } from "./_comparison.ts";
import type { JobLoad, QueuePeer } from "./_queue_peer.ts";
import { textOf } from "./_sampling.ts";
import { openStage } from "./_stage.ts";
import { bullMq } from "./bullmq_peer.ts";
import { NatsBenchQueue } from "./nats_bench_queue.ts";
import { natsIoQueue } from "./nats_io_peer.ts";
import { pgBoss } from "./pg_boss_peer.ts";
import { startPostgres } from "./postgres_server.ts";
import { supercheckQueue } from "./supercheck_peer.ts";

/** `publishJob`, `publishJobs` and `consumeJobs`, on an empty queue, and while many jobs wait. */
export async function queuePart(comparison: Comparison): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { options } = comparison;
  const { stores, js, jsm, redis, natsBench } = stack.use(await openStage());
  const postgres = await startPostgres();
  if (postgres) stack.use(postgres);
  const peers: QueuePeer[] = [await supercheckQueue(stores, jsm), await natsIoQueue(js, jsm)];
  if (redis) peers.push(stack.use(bullMq(redis.port)));
  if (postgres) peers.push(stack.use(await pgBoss(postgres.port)));
  const go = natsBench && await NatsBenchQueue.open(natsBench, jsm, options);

  for (const [size, bytes] of [["200 B", 200], ["1 KB", 1000]] as const) {
    const load: JobLoad = { title: size, text: textOf(bytes), waiting: 0 };
    for (const inFlight of [1, 64, 256]) await comparePublish(comparison, peers, go, load, inFlight);
    for (const inFlight of [1, 4]) await compareBatches(comparison, peers, go, load, inFlight);
    for (const concurrency of [1, 10, 100]) await compareConsume(comparison, peers, go, load, concurrency);
    await compareStart(comparison, peers, load);
  }

  const waiting = options.quick ? 5_000 : 200_000;
  const load = { title: `200 B, ${waiting.toLocaleString("en-US")} jobs waiting`, text: textOf(200), waiting };
  await comparePublish(comparison, peers, null, load, 256);
  await compareConsume(comparison, peers, null, load, 100);
  await compareStart(comparison, [await supercheckQueue(stores, jsm, "high")], {
    ...load,
    title: `200 B, high before ${waiting.toLocaleString("en-US")} of normal priority`,
  });
}
