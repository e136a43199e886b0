import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStores, RetryJobError } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

type Call = (stores: JetStreamStores, options: never) => unknown;

const BUCKET = ["ttl", "replicas", "maxBytes"];
const consume: Call = (stores, options) => void stores.jobQueue("q").consume(() => {}, options).stop();

/** Functions with numbers among their options. */
const CALLS: [name: string, call: Call, numbers: string[]][] = [
  ["new JetStreamStores", (_, options) => new JetStreamStores(options), ["timeout", "connectTimeout", "pingInterval"]],
  ["connect", (stores, options) => stores.connect(options), ["connectTimeout", "pingInterval"]],
  ["close", (stores, options) => stores.close(options), ["deadline"]],
  ["kvBucket", (stores, options) => stores.kvBucket("b", options), [...BUCKET, "history", "maxValueSize"]],
  ["objectBucket", (stores, options) => stores.objectBucket("b", options), [...BUCKET, "maxChunkSize"]],
  ["KvBucket.put", (stores, options) => stores.kvBucket("b").put("k", "v", options), ["ttl"]],
  ["ObjectBucket.put", (stores, options) => stores.objectBucket("b").put("n", "d", options), ["chunkSize"]],
  ["jobQueue", (stores, options) => stores.jobQueue("q", options), ["lease", "dedupe", "deadLetterTtl", "replicas"]],
  [
    "JobQueue.publish",
    (stores, options) => stores.jobQueue("q").publish(1, options),
    ["delay", "maxAttempts", "backoff", "timeout", "ttl", "keepResult"],
  ],
  ["JobQueue.consume", consume, ["concurrency", "prefetch", "maxAttempts", "maxDeliveries", "backoff", "timeout"]],
  [
    "JobQueue.consumeBatches",
    (stores, options) => void stores.jobQueue("q").consumeBatches(() => {}, options).stop(),
    ["size", "wait", "concurrency"],
  ],
  ["JobQueue.waitFor", (stores, options) => stores.jobQueue("q").waitFor("i", options), ["timeout"]],
  [
    "JobQueue.schedule",
    (stores, options) => stores.jobQueue("q").schedule("s", Object.assign({ data: 1 }, options)),
    ["every"],
  ],
  ["RetryJobError", (_, options) => new RetryJobError(options), ["delay"]],
  ["startNatsServer", (_, options) => startNatsServer(options), ["timeout", "port"]],
];

const NO_NUMBERS: unknown[] = [NaN, Infinity, -Infinity, -1.5, "5", "", 5n, [5], new Date(5), true, Symbol("5")];

for (const [name, call, options] of CALLS) {
  Deno.test(`${name} refuses what is no number, or no finite one, for ${options.join(", ")}`, async () => {
    const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
    for (const option of options) {
      for (const value of NO_NUMBERS) {
        // A list of waits.
        if (option === "backoff" && Array.isArray(value)) continue;
        const what = `${option}: ${Deno.inspect(value)}`;
        const refused = async () => void await call(stores, { [option]: value } as never);
        const error = await assertRejects(refused, Error, `'${option}`, what);
        assert(error instanceof TypeError || error instanceof RangeError, `${what}: ${error}`);
      }
    }
    await stores.close();
  });
}

Deno.test("nested numbers are checked as all others", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  for (const value of NO_NUMBERS) {
    for (
      const [path, options] of [
        ["rateLimit.jobs", { rateLimit: { jobs: value, interval: 5 } }],
        ["rateLimit.interval", { rateLimit: { jobs: 5, interval: value } }],
        ["backoff.base", { backoff: { base: value, max: 5 } }],
        ["backoff.max", { backoff: { base: 5, max: value } }],
        ["backoff", { backoff: [1, value] }],
      ] as [string, never][]
    ) {
      await assertRejects(async () => void await consume(stores, options), Error, `'${path}'`, Deno.inspect(value));
    }
    const revision = value as number;
    await assertRejects(() => stores.kvBucket("b").update("k", "v", revision), RangeError, "'revision'");
    const limit = { high: value as number };
    await assertRejects(() => stores.jobQueue("q").limitActive(limit), RangeError, "'high'");
  }
  await stores.close();
});

Deno.test("-0 counts as 0", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({
    servers: server.url,
    connectTimeout: TIMEOUT_MS,
    logger: new CollectedLog(),
  });
  const bucket = stores.kvBucket("b", { ttl: -0 });
  assertEquals(await bucket.put("k", "v"), 1);
  assertEquals((await bucket.status())?.ttl, 0);
  const queue = stores.jobQueue("q", { dedupe: -0 });
  assertEquals((await queue.publish(1, { delay: -0, backoff: -0 }))?.duplicate, false);
  assertEquals(new RetryJobError({ delay: -0 }).message, "The job asked to run again in 0 ms");
  assertEquals(await queue.counts().then((counts) => counts?.ready.normal), 1);
});
