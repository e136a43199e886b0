// Increments a counter by compare and set, and prints how often somebody was faster, and how often nothing was confirmed.
import { KvStores } from "../_support/kv_stores.ts";

const [url, name, key, times] = Deno.args;
await using stores = new KvStores({ servers: url });
const bucket = stores.kvBucket(name);
await bucket.get("n");
console.log("ready");
for await (const _go of bucket.watch("go")) break;
let [conflicts, unconfirmed] = [0, 0];
for (let done = 0; done < Number(times);) {
  const entry = await bucket.get(key);
  if (!entry) throw new Error("The counter has gone");
  const result = await bucket.update(key, String(Number(entry.text()) + 1), entry.revision);
  if (result === null) unconfirmed++;
  else if (result === false) conflicts++;
  else done++;
}
console.log(conflicts);
console.log(unconfirmed);
