import type { Comparison, Contestant } from "./_comparison.ts";
import { fill, type JobLoad, type QueuePeer } from "./_queue_peer.ts";
import { sampleLatency, sampleThroughput } from "./_sampling.ts";
import type { NatsBenchQueue } from "./nats_bench_queue.ts";

const PART = "queue";

/** Jobs of one call of `publishJobs`. */
const BATCH = 500;

/** The floors of `publishJob`, by peer and calls in flight. */
const SINGLE_FLOORS: Record<string, Record<number, number>> = {
  "BullMQ": { 256: 2 },
  "@nats-io/jetstream": { 256: 1.3 },
};

/** The floors of `publishJobs`, by peer. */
const BATCH_FLOORS: Record<string, number> = { "BullMQ": 3 };

/** Compares `publishJob` with the peers' ways to add one job. */
export async function comparePublish(
  comparison: Comparison,
  peers: QueuePeer[],
  natsBench: NatsBenchQueue | null,
  load: JobLoad,
  inFlight: number,
): Promise<void> {
  const time = comparison.options.sampleTime;
  const data = { text: load.text };
  await comparison.run({
    part: PART,
    title: `publishJob, ${load.title}, ${inFlight === 1 ? "one caller" : `${inFlight} in flight`}`,
    unit: inFlight === 1 ? "µs" : "/s",
    more: inFlight !== 1,
    contestants: [
      ...peers.map((peer): Contestant => ({
        peer: peer.peer,
        floor: load.waiting === 0 ? SINGLE_FLOORS[peer.peer]?.[inFlight] : undefined,
        ...surrounded(peer, load),
        sample: () =>
          inFlight === 1
            ? sampleLatency(() => peer.add(data), { time })
            : sampleThroughput(() => peer.add(data), inFlight, { time }),
      })),
      natsBench && inFlight > 1 ? natsBench.publishing(load, inFlight) : null,
    ],
  });
}

/** Compares `publishJobs` with the peers' ways to add many. */
export async function compareBatches(
  comparison: Comparison,
  peers: QueuePeer[],
  natsBench: NatsBenchQueue | null,
  load: JobLoad,
  inFlight: number,
): Promise<void> {
  const batch = new Array(BATCH).fill({ text: load.text });
  await comparison.run({
    part: PART,
    title: `publishJobs, ${load.title}, batches of ${BATCH}, ${
      inFlight === 1 ? "one caller" : `${inFlight} in flight`
    }`,
    unit: "jobs/s",
    more: true,
    contestants: [
      ...peers.map((peer): Contestant => ({
        peer: peer.peer,
        floor: BATCH_FLOORS[peer.peer],
        ...surrounded(peer, load),
        sample: async () => {
          const { value } = await sampleThroughput(() => peer.addMany(batch), inFlight, {
            time: comparison.options.sampleTime,
          });
          return { value: value * BATCH };
        },
      })),
      natsBench && natsBench.publishing(load, BATCH * inFlight),
    ],
  });
}

/** Before a sample as many jobs wait as the load says; after it, all that were confirmed must be there. */
function surrounded(peer: QueuePeer, load: JobLoad): Pick<Contestant, "before" | "after"> {
  return {
    before: async () => {
      if (load.waiting === 0) await peer.clear();
      else await fill(peer, { text: load.text }, load.waiting);
    },
    after: async () => {
      const count = await peer.count();
      if (count <= load.waiting) throw new Error(`${count} jobs are there, after more than that were confirmed`);
    },
  };
}
