import type { JetStreamStores } from "../../src/stores.ts";
import { compareStart } from "./_compare_start.ts";
import { type Comparison, type Contestant, OURS } from "./_comparison.ts";
import { rawDelivery, rawGets, rawJobs, rawPeer, rawPing, rawPublish } from "./raw_socket_peer.ts";
import type { RawWork } from "./_raw_socket.ts";
import { sampleNextStart } from "./_next_start.ts";
import { type Call, type Sample, sampleLatency, textOf } from "./_sampling.ts";
import { openStage, type Stage } from "./_stage.ts";
import { confirmed } from "./_store_peer.ts";
import { supercheckQueue } from "./supercheck_peer.ts";

const PART = "latency";
const KEYS = Array.from({ length: 1000 }, (_, index) => `checks.eu.${index}`);
const QUEUE = "latency";

/** Other calls of the same kind that are in flight while one caller is timed. */
const OTHERS = [0, 64];

/** Jobs that a worker runs at the same time. */
const CONCURRENCIES = [1, 10];

/** One function, and what it sends over a raw socket. */
interface TimedCall {
  title: string;
  call: Call;
  bare: { what: string; work: RawWork };
}

/** How long one call takes, against the bare round trips that it is made of; and how long jobs wait for their start. */
export async function latencyPart(comparison: Comparison): Promise<void> {
  await using stage = await openStage();
  const { stores, jsm } = stage;
  const text = textOf(200);
  for (const timed of await timedCalls(stores, text)) {
    for (const others of OTHERS) await compareLatency(comparison, stage, timed, others);
  }
  const peer = await supercheckQueue(stores, jsm);
  const delivery = rawPeer(stage.server.port, comparison.options.sampleTime, "delivery", undefined, rawDelivery(text));
  await compareStart(comparison, [peer], { title: "200 B", text, waiting: 0 }, { part: PART, others: [delivery] });
  for (const concurrency of CONCURRENCIES) {
    await comparison.run({
      part: PART,
      title: `from a job's end to the next start, 200 B, ${concurrency} at a time, a worker at its concurrency`,
      unit: "µs",
      more: false,
      contestants: [{
        peer: OURS,
        sample: () => sampleNextStart(stores.jobQueue(QUEUE), { text }, concurrency, comparison.options.sampleTime),
      }],
    });
  }
}

async function timedCalls(stores: JetStreamStores, text: string): Promise<TimedCall[]> {
  const keyOf = (index: number) => KEYS[index % KEYS.length];
  for (const key of KEYS) await stores.storeKV(key, text);
  await stores.jobQueue(QUEUE).open();
  const subjects = KEYS.map((key) => `$KV.supercheck_kv.${key}`);
  return [{
    title: "storeKV",
    call: (index) => stores.storeKV(keyOf(index), text),
    bare: { what: "PUB frames", work: rawPublish(subjects, text, 1) },
  }, {
    title: "loadKV",
    call: (index) => stores.loadKV(keyOf(index)),
    bare: { what: "direct gets", work: rawGets("KV_supercheck_kv", [subjects], 1) },
  }, {
    title: "publishJob",
    call: () => stores.publishJob(QUEUE, { text }),
    bare: { what: "HPUB frames", work: rawJobs(QUEUE, JSON.stringify({ text })) },
  }];
}

/** Times one caller, and the same over a raw socket, while other calls are in flight or not. */
async function compareLatency(
  comparison: Comparison,
  { stores, server }: Stage,
  { title, call, bare }: TimedCall,
  others: number,
): Promise<void> {
  const time = comparison.options.sampleTime;
  const contestants: Contestant[] = [
    { peer: OURS, sample: () => sampleLatency(call, { time }) },
    rawPeer(server.port, time, bare.what, undefined, bare.work),
    rawPeer(server.port, time, "PING", undefined, rawPing()),
  ];
  await comparison.run({
    part: PART,
    title: `${title}, 200 B, one caller${others === 0 ? "" : ` beside ${others} others`}`,
    unit: "µs",
    more: false,
    contestants: contestants.map((contestant) => ({
      ...contestant,
      before: () => stores.jobQueue(QUEUE).purge(),
      sample: () => beside(others, call, contestant.sample),
    })),
  });
}

/** Samples while so many other callers are busy. */
async function beside(others: number, call: Call, sample: () => Promise<Sample>): Promise<Sample> {
  let over = false;
  const busy = Promise.all(Array.from({ length: others }, async (_, other) => {
    for (let index = other; !over; index += others) confirmed(await call(index));
  }));
  // It is looked at when the sample is taken.
  busy.catch(() => {});
  try {
    return await sample();
  } finally {
    over = true;
    await busy;
  }
}
