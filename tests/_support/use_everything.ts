import { assertEquals, assertRejects } from "@std/assert";
import { type JetStreamStores, JobFailedError } from "../../mod.ts";
import { waitUntil, within } from "./wait_until.ts";

const LARGE = new Uint8Array(400_000).fill(7);

/** Lines that tell of what has to happen while everything is used. */
const EXPECTED = /^(Connected to|Job .* (failed and will be retried|became a dead letter)|Worker .* stopped)/;

/** The lines of a log that tell of something that should not happen. */
export function complaints(log: string[]): string[] {
  return log.filter((line) => !EXPECTED.test(line));
}

/** Uses each part of the stores, asserts that all of it works, and removes what it has made. */
export async function useEverything(stores: JetStreamStores): Promise<void> {
  await stores.storeHealthcheck("a", "{}");
  assertEquals([await stores.loadHealthcheck("a"), await stores.objectBucket("supercheck").destroy()], ["{}", true]);
  assertEquals([await stores.storeKV("a", "1"), (await stores.loadKV("a"))?.val], [1, "1"]);
  assertEquals(await stores.kvBucket("supercheck_kv").destroy(), true);
  await useObjects(stores, "checks");
  await useValues(stores, "checks");
  await useQueue(stores, "checks");
}

/** Uses and removes an object bucket. */
export async function useObjects(stores: JetStreamStores, bucket: string): Promise<void> {
  const objects = stores.objectBucket(bucket);
  assertEquals([(await objects.put("a", "{}"))?.size, await objects.getText("a")], [2, "{}"]);
  assertEquals([(await objects.put("large", LARGE))?.size, await objects.get("large")], [LARGE.length, LARGE]);
  assertEquals((await Array.fromAsync(objects.list())).map(({ name }) => name), ["a", "large"]);
  for await (const { name } of objects.watch()) {
    assertEquals(name, "a");
    break;
  }
  assertEquals([await objects.delete("a"), (await objects.status())?.bucket], [true, bucket]);
  assertEquals(await objects.destroy(), true);
}

/** Uses and removes a key-value bucket. */
export async function useValues(stores: JetStreamStores, bucket: string): Promise<void> {
  const kv = stores.kvBucket(bucket);
  assertEquals([await kv.put("a", "1"), (await kv.get("a"))?.text()], [1, "1"]);
  assertEquals((await kv.getMany(["a", "b"]))?.size, 1);
  assertEquals(await Array.fromAsync(kv.keys()), ["a"]);
  for await (const { revision } of kv.watch()) {
    assertEquals(revision, 1);
    break;
  }
  assertEquals([await kv.update("a", "2", 1), await kv.update("a", "3", 1)], [2, false]);
  assertEquals([await kv.create("b", "1"), await kv.create("b", "1")], [3, false]);
  const mirror = stores.kvBucket(bucket, { cache: true });
  assertEquals((await mirror.get("a"))?.text(), "2");
  assertEquals((await Array.fromAsync(kv.history("a"))).length, 1);
  assertEquals([await kv.delete("a"), await kv.purge("b"), await kv.get("a")], [true, true, null]);
  assertEquals(await kv.destroy(), true);
}

/**
 * Uses and removes a queue.
 *
 * @param timeout Milliseconds that it waits for what has to happen.
 */
export async function useQueue(stores: JetStreamStores, name: string, timeout = 60_000): Promise<void> {
  const queue = stores.jobQueue(name);
  const stop = new AbortController();
  const told = new Set<string>();
  const following = (async () => {
    for await (const { type } of queue.events({ signal: stop.signal })) told.add(type);
  })();
  following.catch(() => {});
  assertEquals(await queue.limitRate({ jobs: 100, interval: 100 }), true);
  let failed = 0;
  const cancelled = Promise.withResolvers<void>();
  const worker = queue.consume(async (job) => {
    if (job.data === "cancel") {
      job.signal.addEventListener("abort", () => cancelled.resolve(), { once: true });
      await queue.cancel(job.id);
      return await cancelled.promise;
    }
    await job.progress(1);
    if (job.data === "bad") throw new Error("bad");
    if (job.data === "twice" && failed++ === 0) throw new Error("again");
    return job.data;
  }, { maxAttempts: 2, backoff: 1, concurrency: 5 });
  // One that lacks a right would go on trying to report its jobs.
  await using _ = { [Symbol.asyncDispose]: async () => void await worker.stop({ deadline: 500 }) };
  await queue.publish("good", { id: "good", keepResult: 60_000 });
  assertEquals(await queue.waitFor("good", { timeout }), "good");
  await queue.publish("twice", { id: "twice", keepResult: 60_000 });
  assertEquals([await queue.waitFor("twice", { timeout }), failed], ["twice", 2]);
  await queue.publish("bad", { id: "bad", maxAttempts: 1 });
  await assertRejects(() => queue.waitFor("bad", { timeout }), JobFailedError, "bad");
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["bad"]);
  await queue.publish("cancel", { id: "cancel" });
  await within(cancelled.promise, timeout);
  assertEquals([await queue.redrive("bad"), await queue.pause()], [1, true]);
  assertEquals([(await queue.counts())?.dead !== undefined, await queue.resume()], [true, true]);
  await queue.publish("keyed", { key: "k", id: "keyed", keepResult: 60_000 });
  assertEquals(await queue.waitFor("keyed", { timeout }), "keyed");
  await queue.publish(1, { id: "later", delay: 60_000 });
  assertEquals([(await queue.get("later"))?.state, await queue.cancel("later")], ["delayed", true]);
  assertEquals(await queue.limitActive({ low: 1 }), true);
  assertEquals([await queue.limitRate({ jobs: 50, interval: 100 }), await queue.limitRate(null)], [true, true]);
  assertEquals([await queue.schedule("s", { every: 60_000, data: 1 }), await queue.unschedule("s")], [true, true]);
  assertEquals((await queue.publishMany([{ data: 1 }, { data: 2 }], { atomic: true }))?.length, 2);
  await waitUntil(() => worker.status().state === "serving", timeout);
  await worker.stop();
  await queue.publish(1, { id: "left" });
  assertEquals((await Array.fromAsync(queue.jobs())).some(({ id }) => id === "left"), true);
  assertEquals(typeof await queue.purge(), "number");
  stop.abort();
  await following;
  assertEquals([told.has("dead"), told.has("started"), told.has("retried")], [true, true, true]);
  assertEquals(await queue.destroy(), true);
}
