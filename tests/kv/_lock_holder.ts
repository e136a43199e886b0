// Holds the lock "l" again and again, and writes its fence to the resource "r" three times each, which refuses lower ones; prints each fence.
import { delay } from "../../src/delay.ts";
import { KvStores } from "../_support/kv_stores.ts";

const [url] = Deno.args;
await using stores = new KvStores({ servers: url });
const locks = stores.kvBucket("locks");
const resources = stores.kvBucket("resources");

/** Writes a fence, unless a higher one has been there; tells whether it did. */
async function write(fence: number): Promise<boolean> {
  const entry = await resources.modify("r", (entry) => {
    const fences = entry?.json<number[]>() ?? [];
    return fence < (fences.at(-1) ?? 0) ? undefined : JSON.stringify([...fences, fence]);
  });
  return entry !== null && entry.json<number[]>().includes(fence) && entry.json<number[]>().at(-1) === fence;
}

console.log("ready");
for (;;) {
  const lock = await locks.lock("l", { lease: 1_000, wait: 600_000 });
  if (!lock) continue;
  console.log(`holds ${lock.fence}`);
  for (let i = 0; i < 3; i++) {
    const isWritten = await write(lock.fence);
    // Only a holder whose lease has ended may meet a higher fence.
    if (!isWritten && !lock.signal.aborted) await resources.put("doubles", `${lock.fence}`);
    await delay(30);
  }
  await lock.release();
}
