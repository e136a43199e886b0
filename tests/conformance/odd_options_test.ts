import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type ConsumeOptions, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** What looks like an object with properties and has none. */
const NO_RECORDS: [value: unknown, is: string][] = [
  [new Map([["a", "b"]]), "an object of class Map"],
  [new Headers({ a: "b" }), "an object of class Headers"],
  [["a"], '["a"]'],
  ["text", '"text"'],
  [5, "5"],
  [Promise.resolve({}), "an object of class Promise"],
];

Deno.test("headers and metadata that are a Map, Headers or a list are refused, not taken for empty", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  for (const [value, is] of NO_RECORDS) {
    const odd = value as never;
    const rule = (option: string) => `'${option}' must be an object: current value is ${is}`;
    await assertRejects(() => stores.publishJob("q", 1, { headers: odd }), TypeError, rule("headers"));
    const objects = stores.objectBucket("o");
    await assertRejects(() => objects.put("n", "d", { headers: odd }), TypeError, rule("headers"));
    await assertRejects(() => objects.put("n", "d", { metadata: odd }), TypeError, rule("metadata"));
    assertThrows(() => stores.kvBucket("k", { metadata: odd }), TypeError, rule("metadata"));
    await assertRejects(() => stores.jobQueue("q").limitActive(odd), TypeError, rule("limits"));
  }
  await stores.close();
});

Deno.test("lists with empty places are refused, not taken for shorter ones", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  const queue = stores.jobQueue("q");
  // deno-lint-ignore no-sparse-arrays
  const waits = [1, , 3] as number[];
  await assertRejects(() => queue.publish(1, { backoff: waits }), RangeError, "'backoff' must be ≥ 0 ms");
  assertThrows(() => queue.consume(() => {}, { backoff: waits }), RangeError, "'backoff' must be ≥ 0 ms");
  assertThrows(() => queue.consume(() => {}, { priorities: Array(1) }), RangeError, "'priorities'");
  await assertRejects(() => queue.publishMany(Array(2)), TypeError, "'data' must be a JSON value");
  await assertRejects(() => queue.publishMany([5 as never]), TypeError, "an entry of 'jobs' must be an object");
  await stores.close();
});

Deno.test("options count as they are at the call, whatever becomes of their objects and lists", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({
    servers: server.url,
    connectTimeout: TIMEOUT_MS,
    logger: new CollectedLog(),
  });
  const options = { metadata: { a: "before" }, description: "before", ttl: 60_000 };
  const bucket = stores.objectBucket("o", options);
  options.metadata.a = "after";
  Object.assign(options, { ttl: -1, description: 5 });
  const put = { headers: { "X-A": "before" }, metadata: { b: "before" }, description: "before" };
  const stored = bucket.put("n", "d", put);
  put.headers["X-A"] = "a\r\nb";
  put.metadata.b = "after";
  put.description = "after";
  await stored;
  const info = await bucket.info("n");
  assertEquals([info?.headers, info?.metadata, info?.description], [
    { "X-A": ["before"] },
    { b: "before" },
    "before",
  ]);
  const status = await bucket.status();
  assertEquals([status?.ttl, status?.description, status?.metadata.a], [60_000, "before", "before"]);

  const queue = stores.jobQueue<number>("q");
  const waits = [0];
  const consume: ConsumeOptions = { backoff: waits, maxAttempts: 2, rateLimit: { jobs: 10, interval: 1_000 } };
  const attempts: number[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  await using _worker = queue.consume((job) => {
    attempts.push(job.attempt);
    if (job.attempt === 2) return resolve();
    throw new Error("again");
  }, consume);
  waits[0] = NaN;
  consume.rateLimit!.jobs = NaN;
  await queue.publish(1);
  await done;
  assertEquals(attempts, [1, 2]);
});
