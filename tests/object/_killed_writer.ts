/** A process that says when it has begun to store a large object, and never ends by itself: `<url> <bucket> <name>`. */
import { JetStreamStores } from "../../src/stores.ts";

const [url, bucket, name] = Deno.args;
const stores = new JetStreamStores({ servers: url, logger: { info() {}, warn() {}, error() {} } });
let given = 0;
const endless = new ReadableStream<Uint8Array>({
  pull(controller) {
    if (given++ === 20) console.log("half-way");
    controller.enqueue(new Uint8Array(100_000).fill(given));
  },
});
await stores.objectBucket(bucket).putStream(name, endless);
