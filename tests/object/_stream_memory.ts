/** A process that streams objects in and out again, all at once, and prints the most memory that it had, in MiB: `<url> <objects> <MiB of each>`. */
import { createHash } from "node:crypto";
import { JetStreamStores } from "../../src/stores.ts";

const MiB = 1_048_576;
const [url, objects, size] = Deno.args;
let peak = 0;
const watching = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 10);
await using stores = new JetStreamStores({ servers: url, logger: { info() {}, warn() {}, error() {} } });
const bucket = stores.objectBucket("large");
const names = Array.from({ length: Number(objects) }, (_, n) => `object ${n}`);

async function store(name: string): Promise<string> {
  const sent = createHash("sha256");
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
  const info = await bucket.putStream(name, source);
  if (info?.size !== Number(size) * MiB) throw new Error(`${name} is not stored`);
  return sent.digest("hex");
}

async function load(name: string): Promise<string> {
  const got = createHash("sha256");
  for await (const part of (await bucket.getStream(name))!) got.update(part);
  return got.digest("hex");
}

const sent = await Promise.all(names.map(store));
const got = await Promise.all(names.map(load));
if (sent.join() !== got.join()) throw new Error("An object came back changed");
clearInterval(watching);
console.log(Math.round(peak / MiB));
