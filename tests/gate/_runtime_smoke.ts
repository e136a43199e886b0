/**
 * The main job, in Node.js or Bun as in Deno: stores, a queue with a retry and a dead letter, a watch, a mirror, the dashboard, and an end by SIGTERM. Prints one line
 * for each thing that works.
 * @module
 */
import { strictEqual } from "node:assert/strict";
import process from "node:process";
import {
  close,
  connect,
  jobQueue,
  kvBucket,
  loadHealthcheck,
  loadKV,
  storeHealthcheck,
  storeKV,
  UnrecoverableJobError,
} from "../../mod.ts";
import { dashboard } from "../../src/dashboard/mod.ts";

const server = await connect();
strictEqual(typeof server?.version, "string");

await storeHealthcheck("https://example.com/", '{"status":200}');
strictEqual(await loadHealthcheck("https://example.com/"), '{"status":200}');
await storeKV("https://example.com/", "up");
strictEqual((await loadKV("https://example.com/"))?.val, "up");
console.log("stores");

const plans = kvBucket("plans", { cache: true });
const watching = (async () => {
  for await (const entry of plans.watch("b")) return entry.text();
})();
await plans.put("a", "1");
await plans.put("b", "2");
strictEqual(await watching, "2");
console.log("watch");
strictEqual((await plans.get("a"))?.text(), "1");
console.log("mirror");

const mails = jobQueue<{ to: string }>("mails");
const attempts: number[] = [];
const worker = mails.consume((job) => {
  if (job.data.to === "nobody") throw new UnrecoverableJobError("no address");
  attempts.push(job.attempt);
  if (job.attempt === 1) throw new Error("again");
  return "sent";
}, { backoff: 50 });
await mails.publish({ to: "ann" }, { id: "ann", keepResult: 60_000 });
strictEqual(await mails.waitFor("ann", { timeout: 20_000 }), "sent");
strictEqual(attempts.join(), "1,2");
console.log("retry");
await mails.publish({ to: "nobody" }, { id: "nobody" });
strictEqual(await mails.waitFor("nobody", { timeout: 20_000 }).catch((error) => error.message), "no address");
for await (const { id, reason } of mails.deadLetters()) strictEqual(`${id}: ${reason}`, "nobody: no address");
console.log("dead letter");

const page = await dashboard()(new Request("http://localhost/queues/mails"));
strictEqual(page.status, 200);
strictEqual(/<b>1<\/b><span>dead letter</.test(await page.text()), true);
console.log("dashboard");

process.once("SIGTERM", async () => {
  await close();
  console.log("closed");
});
console.log("ready");
await worker.closed;
