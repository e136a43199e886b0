// Reads a key from a cached bucket all the time; prints its value when it is in sync, and at the first read after this process stood still.
import { answersAtOnce } from "../_support/in_sync.ts";
import { KvStores } from "../_support/kv_stores.ts";

console.log(Deno.pid);
const [url, name, key] = Deno.args;
await using stores = new KvStores({ servers: url });
const bucket = stores.kvBucket(name, { cache: true });
while (!await answersAtOnce(bucket, key)) await new Promise((resolve) => setTimeout(resolve, 10));
let last = performance.now();
console.log((await bucket.get(key))?.text());
for (;;) {
  const now = performance.now();
  const value = (await bucket.get(key))?.text();
  if (now - last > 2_000) {
    console.log(value);
    break;
  }
  last = now;
  await new Promise((resolve) => setTimeout(resolve, 1));
}
