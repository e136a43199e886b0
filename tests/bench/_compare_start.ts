import { setTimeout as delay } from "node:timers/promises";
import type { Comparison, Contestant } from "./_comparison.ts";
import { fill, type JobLoad, type QueuePeer } from "./_queue_peer.ts";
import { percentiles, type Sample } from "./_sampling.ts";

/** Milliseconds between two jobs: the worker has been idle for a while when the next one comes. */
const PAUSE = 3;

/** Milliseconds until a worker that was just started counts as idle. */
const SETTLE = 100;

/** Compares how long it takes from the call that publishes a job to the start of its handler, while a worker waits. */
export async function compareStart(
  comparison: Comparison,
  peers: QueuePeer[],
  load: JobLoad,
  { part = "queue", others = [] }: { part?: string; others?: Contestant[] } = {},
): Promise<void> {
  const time = 2 * comparison.options.sampleTime;
  await comparison.run({
    part,
    title: `from publishJob to the handler's start, ${load.title}, an idle worker`,
    unit: "µs",
    more: false,
    contestants: [
      ...peers.map((peer): Contestant => ({
        peer: peer.peer,
        before: () => load.waiting === 0 ? peer.clear() : fill(peer, { text: load.text }, load.waiting),
        sample: () => sampleStart(peer, load, time),
      })),
      ...others,
    ],
  });
}

async function sampleStart(peer: QueuePeer, { text }: JobLoad, time: number): Promise<Sample> {
  let started = Promise.withResolvers<number>();
  const work = await peer.work(1, () => started.resolve(performance.now()));
  await delay(SETTLE);
  const took: number[] = [];
  const end = performance.now() + time;
  while (performance.now() < end) {
    started = Promise.withResolvers();
    const begin = performance.now();
    const [start] = await Promise.all([started.promise, peer.add({ text })]);
    took.push((start - begin) * 1000);
    await delay(PAUSE);
  }
  await work.stop();
  return percentiles(took);
}
