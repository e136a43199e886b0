import type { Comparison, Contestant } from "./_comparison.ts";
import { fill, type JobLoad, type QueuePeer } from "./_queue_peer.ts";
import { type Call, type Sample, sampleLatency, sampleThroughput } from "./_sampling.ts";
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
        ...counted(peer, load, (add) => {
          const call = add(1, () => peer.add(data));
          return inFlight === 1 ? sampleLatency(call, { time }) : sampleThroughput(call, inFlight, { time });
        }),
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
  const time = comparison.options.sampleTime;
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
        ...counted(peer, load, async (add) => {
          const { value } = await sampleThroughput(add(BATCH, () => peer.addMany(batch)), inFlight, { time });
          return { value: value * BATCH };
        }),
      })),
      natsBench && natsBench.publishing(load, BATCH * inFlight),
    ],
  });
}

/** A sample before which as many jobs wait as the load says, and after which all that were added must be there, once. */
function counted(
  peer: QueuePeer,
  load: JobLoad,
  sample: (add: (jobs: number, call: Call) => Call) => Promise<Sample>,
): Pick<Contestant, "before" | "sample" | "after"> {
  let expected = 0;
  const add = (jobs: number, call: Call): Call => (index) => {
    expected += jobs;
    return call(index);
  };
  return {
    before: async () => {
      if (load.waiting === 0) await peer.clear();
      else await fill(peer, { text: load.text }, load.waiting);
      expected = await peer.count();
    },
    sample: () => sample(add),
    after: async () => {
      const count = await peer.count();
      if (count !== expected) throw new Error(`${count} jobs are there, and ${expected} were added`);
    },
  };
}
