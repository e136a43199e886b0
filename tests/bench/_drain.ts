import { setImmediate } from "node:timers/promises";
import type { QueuePeer } from "./_queue_peer.ts";
import type { Sample } from "./_sampling.ts";

/**
 * Lets a worker do so many jobs, which are there already: jobs per second from the start of the first to the confirmation of the last.
 *
 * @throws {Error} If jobs ran more than once, or not all that are done are gone.
 */
export async function sampleDrain(peer: QueuePeer, concurrency: number, jobs: number): Promise<Sample> {
  const before = await peer.count();
  const enough = Promise.withResolvers<void>();
  let started = 0;
  let begin = 0;
  const work = await peer.work(concurrency, () => {
    if (started++ === 0) begin = performance.now();
    if (started === jobs) enough.resolve();
  });
  await enough.promise;
  // Only now are confirmations counted: asking all the time would cost the peer some of its time.
  while (work.done() < jobs) await setImmediate();
  const took = performance.now() - begin;
  await work.stop();
  const left = await peer.count();
  if (left !== before - started) {
    throw new Error(
      `of ${before} jobs, ${started} ran and ${left} are left: some are lost, ran twice or are not confirmed`,
    );
  }
  return { value: jobs / took * 1000 };
}
