import type { KvBucket } from "../../mod.ts";
import { waitUntil } from "./wait_until.ts";

/** Waits until the bucket answers from its mirror. */
export function inSync(bucket: KvBucket, probe: string = "probe"): Promise<void> {
  return waitUntil(() => answersAtOnce(bucket, probe));
}

/** Whether the bucket answers a read from its mirror. */
export async function answersAtOnce(bucket: KvBucket, key: string): Promise<boolean> {
  let answered = false;
  const read = bucket.get(key).then(() => answered = true);
  // What needs no answer of a server needs but a few turns.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  const atOnce = answered;
  await read;
  return atOnce;
}
