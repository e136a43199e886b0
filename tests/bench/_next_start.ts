import { setTimeout as delay } from "node:timers/promises";
import type { JobQueue } from "../../src/queue/job_queue.ts";
import type { Payload } from "./_queue_peer.ts";
import { percentiles, type Sample } from "./_sampling.ts";
import { confirmed } from "./_store_peer.ts";

/** Milliseconds that a job runs. */
const RUN_MS = 1;

/** How many jobs are added at once. */
const BATCH = 500;

/** Times how long it takes from a job's end to the next start, in microseconds, while more jobs wait than a worker may run at the same time. */
export async function sampleNextStart(
  queue: JobQueue<Payload>,
  data: Payload,
  concurrency: number,
  time: number,
): Promise<Sample> {
  await queue.purge();
  const batch = new Array(BATCH).fill({ data });
  // More than can run: a timer takes a millisecond at least.
  for (let jobs = 0; jobs < concurrency * (time / RUN_MS + BATCH); jobs += BATCH) {
    confirmed(await queue.publishMany(batch));
  }
  const ends: number[] = [];
  const took: number[] = [];
  const worker = queue.consume(async () => {
    const end = ends.shift();
    if (end !== undefined) took.push((performance.now() - end) * 1000);
    await delay(RUN_MS);
    ends.push(performance.now());
  }, { concurrency });
  await delay(time);
  await worker.stop();
  await queue.purge();
  if (took.length === 0) throw new Error("no job ran");
  return percentiles(took);
}
