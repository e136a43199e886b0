/**
 * A program as users of Node.js write it: the SDK first, then this library. It publishes a job within a span of its own, and works at it.
 * @module
 */
import { trace } from "@opentelemetry/api";
import { close, consumeJobs, publishJob, storeKV } from "../../mod.ts";

// A name that Deno does not look up: only the folder of the test has the package.
const SDK: string = "@opentelemetry/sdk-node";
const { NodeSDK } = await import(SDK);
const sdk = new NodeSDK();
sdk.start();
const done = Promise.withResolvers<void>();
await consumeJobs<{ to: string }>("mails", async (job) => {
  if (job.attempt === 1) throw new TypeError("no answer");
  await storeKV("last mail", job.data.to);
  done.resolve();
}, { backoff: 10 });
await trace.getTracer("program").startActiveSpan("request", async (span) => {
  await publishJob("mails", { to: "ann" });
  span.end();
});
await done.promise;
await close();
await sdk.shutdown();
