import { compareStores, type Operation } from "./_compare_stores.ts";
import type { Comparison, Contestant } from "./_comparison.ts";
import { asTexts, natsIoObjects } from "./nats_io_peer.ts";
import { redisBytes, redisTexts } from "./redis_peer.ts";
import { placesOf, rawGets, rawObjectReads, rawObjects, rawObjectWrites, rawPeer } from "./raw_socket_peer.ts";
import { textOf } from "./_sampling.ts";
import { openStage, type Stage } from "./_stage.ts";
import { supercheckHealth, supercheckObjects } from "./supercheck_peer.ts";
import { todaysObjects } from "./today_peer.ts";

const PART = "objects";
const URLS = Array.from({ length: 1000 }, (_, index) => `https://service-${index}.example.com/health?deep=1`);

/** The floors against `@nats-io/obj`, by calls in flight. */
const FLOORS: Record<number, Record<Operation, number>> = {
  1: { write: 3, read: 4 },
  256: { write: 6, read: 25 },
};

/** Bytes of a chunk: what is larger has several. */
const CHUNK = 131_072;

/** The bucket that the raw socket writes and reads. */
const RAW = "raw";

/** Of the server's limit, with many calls in flight. */
const RAW_FLOORS: Record<Operation, number> = { write: 0.7, read: 0.6 };

/** `storeHealthcheck`, `loadHealthcheck`, and larger objects. */
export async function objectsPart(comparison: Comparison): Promise<void> {
  await using stage = await openStage();
  const { stores, nc, jsm, today, redis } = stage;
  const official = await natsIoObjects(nc, jsm);
  const fastIngest = await natsIoObjects(nc, jsm, true);
  const services = await todaysObjects(today, jsm);
  await compareStores(comparison, {
    part: PART,
    size: "1 KB",
    value: textOf(1000),
    names: URLS,
    shortLived: true,
    titles: { write: "storeHealthcheck", read: "loadHealthcheck" },
    inFlight: [1, 64, 256],
    peers: [
      supercheckHealth(stores),
      asTexts(services),
      asTexts(official),
      redis && redisTexts(redis.client, 30),
    ],
    floor: (peer, operation, inFlight) => peer === official.peer ? FLOORS[inFlight]?.[operation] : undefined,
    others: (operation, inFlight) => [inFlight === 64 ? null : rawSmall(comparison, stage, operation, inFlight)],
  });
  for (const [size, bytes, inFlight] of [["128 KiB", 2 ** 17, 16], ["8 MiB", 2 ** 23, 4]] as const) {
    const value = new Uint8Array(bytes).fill(7);
    const names = URLS.slice(0, 8);
    await compareStores(comparison, {
      part: PART,
      size,
      value,
      names,
      titles: { write: "objectBucket(…).put", read: "objectBucket(…).get" },
      inFlight: [1, inFlight],
      peers: [
        supercheckObjects(stores),
        services,
        official,
        bytes > CHUNK ? fastIngest : null,
        redis && redisBytes(redis.client, 600),
      ],
      others: (operation, inFlight) => [rawLarge(comparison, stage, operation, inFlight, names, value)],
    });
  }
}

/** Small objects as this library stores and reads them, over a raw socket. */
function rawSmall({ options }: Comparison, stage: Stage, operation: Operation, inFlight: number): Contestant {
  const { server: { port }, stores, jsm } = stage;
  const text = textOf(1000);
  const floor = inFlight === 1 ? undefined : RAW_FLOORS[operation];
  const bucket = stores.objectBucket(RAW);
  if (operation === "write") {
    const peer = rawPeer(
      port,
      options.sampleTime,
      "chunk and info frames",
      floor,
      rawObjects(RAW, URLS, text, inFlight),
    );
    return { ...peer, before: () => bucket.put("made", text), after: () => bucket.destroy() };
  }
  let sample: Contestant["sample"] | undefined;
  return {
    ...rawPeer(port, options.sampleTime, "direct gets", floor, rawGets(`OBJ_${RAW}`, [], inFlight)),
    before: async () => {
      if (sample) return;
      for (const url of URLS) await bucket.put(url, text);
      const places = await placesOf(jsm, RAW, URLS);
      const subjects = [places.map(({ info }) => info), places.map(({ chunks }) => chunks)];
      ({ sample } = rawPeer(port, options.sampleTime, "", floor, rawGets(`OBJ_${RAW}`, subjects, inFlight)));
    },
    sample: () => sample!(),
  };
}

/** Objects of one or more chunks, over a raw socket. */
function rawLarge(
  { options: { sampleTime } }: Comparison,
  { server: { port }, stores, jsm }: Stage,
  operation: Operation,
  inFlight: number,
  names: string[],
  value: Uint8Array,
): Contestant {
  const bucket = stores.objectBucket(RAW);
  const { length } = value;
  const usual = length <= 2 ** 17 ? 16 : 1;
  const floor = inFlight === usual ? RAW_FLOORS[operation] : undefined;
  if (operation === "write") {
    const work = rawObjectWrites(RAW, names, length, inFlight);
    const peer = rawPeer(port, sampleTime, "chunk and info frames", floor, work);
    return { ...peer, before: () => bucket.put("made", "it"), after: () => bucket.destroy() };
  }
  let sample: Contestant["sample"] | undefined;
  const before = async () => {
    if (sample) return;
    for (const name of names) await bucket.put(name, value);
    const work = rawObjectReads(RAW, await placesOf(jsm, RAW, names), length, inFlight);
    ({ sample } = rawPeer(port, sampleTime, "", floor, work));
  };
  return { peer: "raw direct gets, one socket", note: "the server's limit", floor, before, sample: () => sample!() };
}
