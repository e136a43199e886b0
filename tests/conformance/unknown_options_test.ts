import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { JetStreamStores, RetryJobError } from "../../mod.ts";
import { findNatsServer, startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";

/** Every function that takes options, called with them; `given` are the arguments' nested options. */
// deno-lint-ignore no-explicit-any
const CALLS: Record<string, (stores: JetStreamStores, options: any) => unknown> = {
  "new JetStreamStores": (_, options) => new JetStreamStores(options),
  connect: (stores, options) => stores.connect(options),
  "connect tls": (stores, tls) => stores.connect({ tls }),
  storeKV: (stores, options) => stores.storeKV("k", "v", options),
  publishJob: (stores, options) => stores.publishJob("q", 1, options),
  publishJobs: (stores, options) => stores.publishJobs("q", [], options),
  "publishJobs entry": (stores, entry) => stores.publishJobs("q", [{ data: 1, ...entry }]),
  consumeJobs: (stores, options) => stores.consumeJobs("q", () => {}, options),
  objectBucket: (stores, options) => stores.objectBucket("o", options),
  "ObjectBucket.put": (stores, options) => stores.objectBucket("o").put("n", "d", options),
  "ObjectBucket.putStream": (stores, options) =>
    stores.objectBucket("o").putStream("n", new Blob(["d"]).stream(), options),
  "ObjectBucket.get": (stores, options) => stores.objectBucket("o").get("n", options),
  "ObjectBucket.getStream": (stores, options) => stores.objectBucket("o").getStream("n", options),
  "ObjectBucket.update": (stores, options) => stores.objectBucket("o").update("n", options ?? {}),
  "ObjectBucket.link": (stores, options) => stores.objectBucket("o").link("n", { bucket: "o", name: "m", ...options }),
  "ObjectBucket.watch": (stores, options) => stores.objectBucket("o").watch(options),
  kvBucket: (stores, options) => stores.kvBucket("k", options),
  "KvBucket.put": (stores, options) => stores.kvBucket("k").put("n", "v", options),
  "KvBucket.create": (stores, options) => stores.kvBucket("k").create("n", "v", options),
  "KvBucket.update": (stores, options) => stores.kvBucket("k").update("n", "v", 1, options),
  "KvBucket.modify": (stores, options) => stores.kvBucket("k").modify("n", () => "v", options),
  "KvBucket.get": (stores, options) => stores.kvBucket("k").get("n", options),
  "KvBucket.getMany": (stores, options) => stores.kvBucket("k").getMany(["n"], options),
  "KvBucket.lock": (stores, options) => stores.kvBucket("k").lock("n", options),
  "KvTransaction.put": (stores, options) => stores.kvBucket("k").atomic().put("n", "v", options),
  "KvBucket.watch": (stores, options) => stores.kvBucket("k").watch(">", options),
  jobQueue: (stores, options) => stores.jobQueue("q", options),
  "JobQueue.publish": (stores, options) => stores.jobQueue("q").publish(1, options),
  "JobQueue.publish backoff": (stores, backoff) =>
    stores.jobQueue("q").publish(1, { backoff: backoff && { base: 1, max: 2, ...backoff } }),
  "JobQueue.publishMany": (stores, options) => stores.jobQueue("q").publishMany([], options),
  "JobQueue.consume": (stores, options) => void stores.jobQueue("q").consume(() => {}, options).stop(),
  "JobQueue.consume rateLimit": (stores, rateLimit) =>
    void stores.jobQueue("q").consume(() => {}, {
      rateLimit: rateLimit && { jobs: 1, interval: 1, ...rateLimit },
    }).stop(),
  "JobQueue.consumeBatches": (stores, options) => void stores.jobQueue("q").consumeBatches(() => {}, options).stop(),
  "JobConsumer.stop": async (stores, options) => {
    await using consumer = stores.jobQueue("q").consume(() => {});
    await consumer.stop(options);
  },
  "JobQueue.jobs": (stores, options) => stores.jobQueue("q").jobs(options),
  "JobQueue.events": (stores, options) => stores.jobQueue("q").events(options),
  "JobQueue.waitFor": (stores, options) => stores.jobQueue("q").waitFor("i", options),
  "JobQueue.schedule": (stores, options) =>
    stores.jobQueue("q").schedule("i", options && { every: 1000, data: 1, ...options }),
  "JobQueue.pause": (stores, options) => stores.jobQueue("q").pause(undefined, options),
  "JobQueue.resume": (stores, options) => stores.jobQueue("q").resume(options),
  RetryJobError: (_, options) => new RetryJobError(options),
  closeOnSignals: (stores, options) => stores.closeOnSignals(options && { signals: [], ...options }),
  close: (stores, options) => stores.close(options),
};

/** These have options that must be given. */
const NEEDED = ["JobQueue.waitFor", "JobQueue.schedule"];

Deno.test("every function refuses an unknown option with a TypeError that names it", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  for (const [name, call] of Object.entries(CALLS)) {
    const refused = async () => void await call(stores, { verbosity: 1 });
    const error = await assertRejects(refused, TypeError, "there is no option 'verbosity'", name);
    assertEquals(error.message.startsWith("Cannot "), true, error.message);
  }
  await stores.close();
});

Deno.test("every function takes null for options that are not given", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  for (const [name, call] of Object.entries(CALLS)) {
    if (!NEEDED.includes(name)) await call(stores, null);
    else await assertRejects(async () => void await call(stores, null), Error, "Cannot ", name);
  }
  const nothing = null as never;
  assertEquals(await stores.publishJob("q", null, { delay: nothing, headers: nothing, backoff: nothing }), null);
  assertEquals(await stores.publishJobs("q", [{ data: null, id: nothing }]), null);
  assertEquals(await stores.storeKV("k", "v", { ttl: nothing }), null);
  assertEquals(await stores.jobQueue("q").pause(nothing, { priority: nothing }), null);
  assertEquals(await stores.objectBucket("o").put("n", "d", { headers: nothing, metadata: nothing }), null);
  assertEquals(new RetryJobError({ delay: nothing }).delay, new RetryJobError().delay);
  await stores.close();
});

Deno.test("JobQueue.publish names the options that other libraries have", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  const queue = stores.jobQueue("q");
  const refused = (options: object) => assertRejects(() => queue.publish(1, options as never), TypeError);
  assertEquals((await refused({ attempts: 3 })).message.endsWith("did you mean 'maxAttempts'?"), true);
  assertEquals((await refused({ priorty: "high" })).message.endsWith("did you mean 'priority'?"), true);
  assertEquals((await refused({ jobId: "1" })).message.endsWith("did you mean 'id'?"), true);
  assertThrows(() => queue.consume(() => {}, { limit: 5 } as never), TypeError, "did you mean 'rateLimit'?");
  await stores.close();
});

Deno.test("a signal that is none is refused at the call", async () => {
  const stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  const rule = "'signal' must be an AbortSignal";
  for (const signal of [{}, "abort", 5, { aborted: false }, new AbortController()] as unknown as AbortSignal[]) {
    assertThrows(() => stores.kvBucket("k").watch(">", { signal }), TypeError, rule);
    assertThrows(() => stores.objectBucket("o").watch({ signal }), TypeError, rule);
    assertThrows(() => stores.jobQueue("q").events({ signal }), TypeError, rule);
    assertThrows(() => stores.jobQueue("q").consume(() => {}, { signal }), TypeError, rule);
    const source = new Blob(["d"]).stream();
    await assertRejects(() => stores.objectBucket("o").putStream("n", source, { signal }), TypeError, rule);
    await assertRejects(() => startNatsServer({ signal }), TypeError, rule);
    await assertRejects(() => findNatsServer({ signal }), TypeError, rule);
  }
  await stores.close();
});

Deno.test("the functions of testing refuse unknown and wrong options, and take null for none", async () => {
  // deno-lint-ignore no-explicit-any
  const wrong: [options: any, message: string][] = [
    [{ prt: 4222 }, "did you mean 'port'?"],
    [{ port: "4222" }, "'port' must be a port"],
    [{ timeout: NaN }, "'timeout' must be ≥ 0 ms"],
    [{ config: 5 }, "'config' must be well-formed text"],
    [{ jetstream: {} }, "'jetstream' must be well-formed text"],
    [{ auth: { user: "ann" } }, "'auth' must be { token }, { user, password }"],
    [{ auth: { token: 5 } }, "'auth.token' must be a string"],
    [{ tls: { cert: "a" } }, "'tls.key' must be a string"],
    [{ tls: { cert: "a", key: "b", verfy: true } }, "did you mean 'verify'?"],
  ];
  for (const [options, message] of wrong) await assertRejects(() => startNatsServer(options), Error, message);
  await assertRejects(() => startNatsCluster({ server: 3 } as never), TypeError, "did you mean 'servers'?");
  await assertRejects(() => startNatsCluster({ servers: 1 }), RangeError, "'servers' must be a whole number ≥ 2");
  await assertRejects(() => findNatsServer({ singal: 1 } as never), TypeError, "did you mean 'signal'?");
  await using server = await startNatsServer(null as never);
  assertEquals(server.running, true);
  assertEquals(typeof await findNatsServer(null as never), "string");
});
