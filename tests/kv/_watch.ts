// Watches a bucket for ever, and prints the keys.
import { KvStores } from "../_support/kv_stores.ts";

const [url, name] = Deno.args;
await using stores = new KvStores({ servers: url });
for await (const { key } of stores.kvBucket(name).watch()) console.log(key);
