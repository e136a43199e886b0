import { assertEquals, assertRejects } from "@std/assert";
import { type JetStreamStores, JobFailedError } from "../../mod.ts";
import { within } from "../_wait_until.ts";

/** Names of what {@linkcode useEverything} uses. */
export const NAMES = { object: "supercheck", kv: "supercheck_kv", queue: "checks" };

/** Uses each part of the stores, asserts that all of it works, and removes what it has made. */
export async function useEverything(stores: JetStreamStores): Promise<void> {
  await useObjects(stores);
  await useValues(stores);
  await useQueue(stores);
}

async function useObjects(stores: JetStreamStores): Promise<void> {
  const objects = stores.objectBucket(NAMES.object);
  await stores.storeHealthcheck("a", "{}");
  assertEquals(await stores.loadHealthcheck("a"), "{}");
  const large = new Uint8Array(400_000).fill(7);
  assertEquals((await objects.put("large", large))?.size, large.length);
  assertEquals(await objects.get("large"), large);
  assertEquals((await Array.fromAsync(objects.list())).map(({ name }) => name), ["a", "large"]);
  for await (const { name } of objects.watch()) {
    assertEquals(name, "a");
    break;
  }
  assertEquals([await objects.delete("a"), (await objects.status())?.ttl], [true, 30_000]);
  assertEquals(await objects.destroy(), true);
}

async function useValues(stores: JetStreamStores): Promise<void> {
  const kv = stores.kvBucket(NAMES.kv);
  assertEquals([await stores.storeKV("a", "1"), (await stores.loadKV("a"))?.val], [1, "1"]);
  assertEquals((await kv.getMany(["a", "b"]))?.size, 1);
  assertEquals(await Array.fromAsync(kv.keys()), ["a"]);
  for await (const { revision } of kv.watch()) {
    assertEquals(revision, 1);
    break;
  }
  assertEquals([await kv.update("a", "2", 1), await kv.update("a", "3", 1)], [2, false]);
  assertEquals([await kv.create("b", "1"), await kv.create("b", "1")], [3, false]);
  const mirror = stores.kvBucket(NAMES.kv, { cache: true });
  assertEquals((await mirror.get("a"))?.text(), "2");
  assertEquals((await Array.fromAsync(kv.history("a"))).length, 1);
  assertEquals([await kv.delete("a"), await kv.purge("b"), await kv.get("a")], [true, true, null]);
  assertEquals(await kv.destroy(), true);
}

async function useQueue(stores: JetStreamStores): Promise<void> {
  const queue = stores.jobQueue(NAMES.queue);
  const stop = new AbortController();
  const told = new Set<string>();
  const following = (async () => {
    for await (const { type } of queue.events({ signal: stop.signal })) told.add(type);
  })();
  let failed = 0;
  const cancelled = Promise.withResolvers<void>();
  await using worker = queue.consume(async (job) => {
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
  await queue.publish("good", { id: "good", keepResult: 60_000 });
  assertEquals(await queue.waitFor("good", { timeout: 20_000 }), "good");
  await queue.publish("twice", { id: "twice", keepResult: 60_000 });
  assertEquals([await queue.waitFor("twice", { timeout: 20_000 }), failed], ["twice", 2]);
  await queue.publish("bad", { id: "bad", maxAttempts: 1 });
  await assertRejects(() => queue.waitFor("bad", { timeout: 20_000 }), JobFailedError, "bad");
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["bad"]);
  await queue.publish("cancel", { id: "cancel" });
  await within(cancelled.promise);
  assertEquals([await queue.redrive("bad"), await queue.pause()], [1, true]);
  assertEquals([(await queue.counts())?.dead !== undefined, await queue.resume()], [true, true]);
  await queue.publish("keyed", { key: "k", id: "keyed", keepResult: 60_000 });
  assertEquals(await queue.waitFor("keyed", { timeout: 20_000 }), "keyed");
  await queue.publish(1, { id: "later", delay: 60_000 });
  assertEquals([(await queue.get("later"))?.state, await queue.cancel("later")], ["delayed", true]);
  assertEquals(await queue.limitActive({ low: 1 }), true);
  assertEquals([await queue.schedule("s", { every: 60_000, data: 1 }), await queue.unschedule("s")], [true, true]);
  assertEquals((await queue.publishMany([{ data: 1 }, { data: 2 }], { atomic: true }))?.length, 2);
  assertEquals(worker.status().state, "serving");
  await worker.stop();
  assertEquals(typeof await queue.purge(), "number");
  stop.abort();
  await following;
  assertEquals([told.has("dead"), told.has("started"), told.has("retried")], [true, true, true]);
  assertEquals(await queue.destroy(), true);
}
