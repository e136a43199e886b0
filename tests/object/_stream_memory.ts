/** A process that streams an object in and out again, and prints the most memory that it had, in MiB: `<url> <MiB>`. */
import { createHash } from "node:crypto";
import { JetStreamStores } from "../../src/stores.ts";

const MiB = 1_048_576;
const [url, size] = Deno.args;
let peak = 0;
const watching = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 10);
await using stores = new JetStreamStores({ servers: url, logger: { info() {}, warn() {}, error() {} } });
const bucket = stores.objectBucket("large");
const [sent, got] = [createHash("sha256"), createHash("sha256")];
let left = Number(size);
const source = new ReadableStream<Uint8Array>({
  pull(controller) {
    if (left-- === 0) return controller.close();
    const part = new Uint8Array(MiB).fill(left);
    crypto.getRandomValues(part.subarray(0, 65_536));
    sent.update(part);
    controller.enqueue(part);
  },
}, { highWaterMark: 0 });
const info = await bucket.putStream("object", source);
if (info?.size !== Number(size) * MiB) throw new Error("The object is not stored");
for await (const piece of (await bucket.getStream("object"))!) got.update(piece);
if (sent.digest("hex") !== got.digest("hex")) throw new Error("The object came back changed");
clearInterval(watching);
console.log(Math.round(peak / MiB));
