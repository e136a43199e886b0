import type { Comparison, Contestant } from "./_comparison.ts";
import { sampleDrain } from "./_drain.ts";
import { fill, type JobLoad, type QueuePeer } from "./_queue_peer.ts";
import type { NatsBenchQueue } from "./nats_bench_queue.ts";

/** Jobs of the first sample of a peer; how many it has later depends on its speed. */
const FIRST = 500;

/** The floors of `consumeJobs`, by peer and jobs at the same time. */
const FLOORS: Record<string, Record<number, number>> = {
  "BullMQ": { 100: 3 },
  "@nats-io/jetstream": { 100: 1.5, 10: 1.2, 1: 1 },
};

/** Compares workers whose handlers do nothing: each job is confirmed. */
export async function compareConsume(
  comparison: Comparison,
  peers: QueuePeer[],
  natsBench: NatsBenchQueue | null,
  load: JobLoad,
  concurrency: number,
): Promise<void> {
  await comparison.run({
    part: "queue",
    title: `consumeJobs, ${load.title}, ${concurrency} at the same time, each confirmed`,
    unit: "jobs/s",
    more: true,
    contestants: [
      ...peers.map((peer) => contestant(comparison, peer, load, concurrency)),
      natsBench && natsBench.consuming(load, concurrency),
    ],
  });
  for (const peer of peers) await peer.clear();
}

function contestant(comparison: Comparison, peer: QueuePeer, load: JobLoad, concurrency: number): Contestant {
  let jobs = FIRST;
  return {
    peer: peer.peer,
    note: peer.workerNote,
    floor: load.waiting === 0 ? FLOORS[peer.peer]?.[concurrency] : undefined,
    before: () => fill(peer, { text: load.text }, load.waiting + jobs),
    sample: async () => {
      const sample = await sampleDrain(peer, concurrency, jobs);
      jobs = Math.max(FIRST, Math.round(sample.value * comparison.options.sampleTime / 1000));
      return sample;
    },
  };
}
