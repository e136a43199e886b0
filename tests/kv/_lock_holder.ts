// Holds the lock "l" again and again. While it holds it by its signal, its fence goes to a file that all holders share; then to the resource "r", which
// refuses a lower one. Prints each fence.
import { delay } from "../../src/delay.ts";
import { KvStores } from "../_support/kv_stores.ts";

const [url, file, lease, hold] = [Deno.args[0], Deno.args[1], Number(Deno.args[2]), Number(Deno.args[3])];
await using stores = new KvStores({ servers: url, timeout: 1_000 });
const locks = stores.kvBucket("locks");
const resources = stores.kvBucket("resources");

/** Writes to the file, whose lines stand in the order in which all processes wrote them. */
function say(line: string): void {
  Deno.writeTextFileSync(file, `${line}\n`, { append: true });
}

/** How often a write is tried: a process that was suspended may first have to connect again. */
const MAX_WRITES = 10;

/** Writes a fence, unless a higher one has been there; tells whether one has. */
async function isRefused(fence: number): Promise<boolean> {
  for (let writes = 0; writes < MAX_WRITES; writes++) {
    const entry = await resources.modify(
      "r",
      (entry) => Number(entry?.text() ?? 0) > fence ? undefined : String(fence),
    );
    if (entry) return Number(entry.text()) > fence;
  }
  return false;
}

console.log("ready");
for (;;) {
  const lock = await locks.lock("l", { lease, wait: 600_000 });
  if (lock) {
    console.log(`holds ${lock.fence}`);
    const until = performance.now() + hold;
    while (!lock.signal.aborted && performance.now() < until) {
      say(`${lock.fence} holds`);
      await delay(10);
    }
    if (await isRefused(lock.fence)) say(`${lock.fence} refused`);
    await lock.release();
  }
  // The others come first.
  await delay(150);
}
