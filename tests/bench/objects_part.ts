import { compareStores, type Operation } from "./_compare_stores.ts";
import type { Comparison } from "./_comparison.ts";
import { asTexts, natsIoObjects } from "./nats_io_peer.ts";
import { redisBytes, redisTexts } from "./redis_peer.ts";
import { textOf } from "./_sampling.ts";
import { openStage } from "./_stage.ts";
import { supercheckHealth, supercheckObjects } from "./supercheck_peer.ts";
import { todaysObjects } from "./today_peer.ts";

const PART = "objects";
const URLS = Array.from({ length: 1000 }, (_, index) => `https://service-${index}.example.com/health?deep=1`);

/** The floors against `@nats-io/obj`, by calls in flight. */
const FLOORS: Record<number, Record<Operation, number>> = {
  1: { write: 3, read: 4 },
  256: { write: 6, read: 25 },
};

/** `storeHealthcheck`, `loadHealthcheck`, and larger objects. */
export async function objectsPart(comparison: Comparison): Promise<void> {
  await using stage = await openStage();
  const { stores, nc, jsm, today, redis } = stage;
  const official = await natsIoObjects(nc, jsm);
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
  });
  for (const [size, bytes, inFlight] of [["128 KiB", 2 ** 17, 16], ["8 MiB", 2 ** 23, 4]] as const) {
    await compareStores(comparison, {
      part: PART,
      size,
      value: new Uint8Array(bytes).fill(7),
      names: URLS.slice(0, 8),
      titles: { write: "objectBucket(…).put", read: "objectBucket(…).get" },
      inFlight: [1, inFlight],
      peers: [supercheckObjects(stores), services, official, redis && redisBytes(redis.client, 600)],
    });
  }
}
