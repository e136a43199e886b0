/**
 * A worker as users write it, whose first attempt at each job fails. Ends when its standard input does.
 * @module
 */
import { close, connect, consumeJobs, storeKV } from "../../mod.ts";

await connect({ connectTimeout: 30_000 });
await consumeJobs<{ to: string }>("mails", async (job) => {
  if (job.attempt === 1) throw new TypeError(`no answer from ${job.data.to}`);
  await storeKV("last mail", job.data.to);
}, { backoff: 10 });
console.log("ready");
await Deno.stdin.read(new Uint8Array(1));
await close();
