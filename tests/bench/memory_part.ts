import { getHeapStatistics } from "node:v8";
import { storeAll } from "./_compare_stores.ts";
import type { Comparison, Contestant } from "./_comparison.ts";
import type { QueuePeer } from "./_queue_peer.ts";
import { type Call, collectGarbage, sampleThroughput, textOf } from "./_sampling.ts";
import { openStage } from "./_stage.ts";
import type { StorePeer } from "./_store_peer.ts";
import { bullMq } from "./bullmq_peer.ts";
import { asTexts, natsIoKv, natsIoObjects, natsIoQueue } from "./nats_io_peer.ts";
import { measureStreams } from "./_streamed_objects.ts";
import { redisTexts } from "./redis_peer.ts";
import { supercheckHealth, supercheckKv, supercheckQueue } from "./supercheck_peer.ts";

const IN_FLIGHT = 64;
const NAMES = Array.from({ length: 200 }, (_, index) => `https://service-${index}.example.com/health`);
const KEYS = Array.from({ length: 200 }, (_, index) => `checks.eu.${index}`);
const TEXT = textOf(1000);

/** One call of a peer, to be counted. */
interface Counted {
  peer: string;
  call: Call;
  /** Calls that it takes before something must be tidied up. */
  calls?: number;
  before?: () => Promise<unknown>;
  tidy?: () => Promise<unknown>;
}

/** What a call costs in memory: bytes that it allocates, and bytes that stay in use after so many calls; and what large objects take that are streamed. */
export async function memoryPart(comparison: Comparison): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const { stores, nc, js, jsm, redis } = stack.use(await openStage());
  const values = [supercheckKv(stores), await natsIoKv(nc), redis && redisTexts(redis.client, 600)];
  const checks = [
    supercheckHealth(stores),
    asTexts(await natsIoObjects(nc, jsm)),
    redis && redisTexts(redis.client, 600),
  ];
  const queues = [
    await supercheckQueue(stores, jsm),
    await natsIoQueue(js, jsm),
    redis && stack.use(bullMq(redis.port)),
  ];
  await compare(comparison, "storeKV", writes(values, KEYS));
  await compare(comparison, "loadKV", reads(values, KEYS));
  await compare(comparison, "storeHealthcheck", writes(checks, NAMES));
  await compare(comparison, "loadHealthcheck", reads(checks, NAMES));
  await compare(comparison, "publishJob", adds(queues));
  await measureStreams(comparison);
}

async function compare(comparison: Comparison, title: string, counted: Counted[]): Promise<void> {
  const wanted = comparison.options.quick ? 2_000 : 20_000;
  const run = (what: "allocated" | "retained", more: false | null) =>
    comparison.run({
      part: "memory",
      title: `${title}, 1 KB, ${IN_FLIGHT} in flight: ${what}`,
      unit: "bytes a call",
      more,
      contestants: counted.map(({ peer, call, calls = wanted, before, tidy }): Contestant => ({
        peer,
        before,
        sample: async () => {
          const start = inUse();
          await sampleThroughput(call, IN_FLIGHT, { time: Infinity, calls: Math.min(calls, wanted) });
          const end = inUse();
          return { value: (end[what] - start[what]) / Math.min(calls, wanted) };
        },
        after: tidy,
      })),
    });
  await run("allocated", false);
  await run("retained", null);
}

/** Bytes that were allocated so far, and that are in use when all garbage is gone. */
function inUse(): { allocated: number; retained: number } {
  const { total_allocated_bytes } = getHeapStatistics() as unknown as { total_allocated_bytes: number };
  collectGarbage();
  const { heapUsed, external } = Deno.memoryUsage();
  return { allocated: total_allocated_bytes, retained: heapUsed + external };
}

function writes(peers: (StorePeer<string> | null)[], names: string[]): Counted[] {
  return peers.filter((peer) => peer !== null).map((peer) => ({
    peer: peer.peer,
    call: (index) => peer.write(names[index % names.length], TEXT),
  }));
}

function reads(peers: (StorePeer<string> | null)[], names: string[]): Counted[] {
  return peers.filter((peer) => peer !== null).map((peer) => ({
    peer: peer.peer,
    call: (index) => peer.read(names[index % names.length]),
    calls: peer.spare?.calls,
    before: () => storeAll(peer, names, TEXT),
    tidy: peer.tidy,
  }));
}

function adds(peers: (QueuePeer | null)[]): Counted[] {
  return peers.filter((peer) => peer !== null).map((peer) => ({
    peer: peer.peer,
    call: () => peer.add({ text: TEXT }),
    tidy: () => peer.clear(),
  }));
}
