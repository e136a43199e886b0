import { assertEquals, assertRejects } from "@std/assert";
import { type JetStreamStores, JobFailedError } from "../../mod.ts";
import type { ForeignClient } from "../_support/foreign_client.ts";
import { useObjects, useQueue, useValues } from "../_support/use_everything.ts";
import { waitUntil, within } from "../_support/wait_until.ts";

/** The bucket, of either kind, and the queue that a role uses. */
export interface Names {
  bucket: string;
  queue: string;
}

/** Milliseconds that a test waits for what has to happen. */
export const TIMEOUT = 60_000;

/** What the work of a role is done with. */
export interface RoleTools {
  /** Stores that have the role's rights only. */
  stores: JetStreamStores;
  /** Stores that have all rights. */
  owner: JetStreamStores;
  /** Another client that has all rights. */
  client: ForeignClient;
  /** Its bucket and its queue, which nobody else uses. */
  names: Names;
  /** Milliseconds to wait for what has to happen. */
  timeout: number;
}

/** Does what a role does; throws if something of it does not work. */
export type RoleWork = (tools: RoleTools) => Promise<void>;

const LARGE = new Uint8Array(300_000).fill(7);

/** Makes what all roles find: buckets with a value and an object, and a queue with one job of each kind. */
export async function prepare(owner: JetStreamStores, names: Names): Promise<void> {
  const kv = owner.kvBucket(names.bucket);
  for (const key of ["a", "b"]) await kv.put(key, key);
  const objects = owner.objectBucket(names.bucket);
  await objects.put("small", "text");
  await objects.put("large", LARGE);
  const queue = owner.jobQueue(names.queue);
  const worker = queue.consume((job) => {
    if (job.data === "bad") throw new Error("bad");
  }, { maxAttempts: 1 });
  await queue.publish(1, { id: "k", key: "k", keepResult: 60_000 });
  await queue.waitFor("k", { timeout: TIMEOUT });
  for (const id of ["dead", "dead2"]) {
    await queue.publish("bad", { id });
    await assertRejects(() => queue.waitFor(id, { timeout: TIMEOUT }), JobFailedError, "bad");
  }
  await worker.stop();
  await queue.publish(1, { id: "delayed", delay: 3_600_000 });
  await queue.schedule("daily", { every: 86_400_000, data: 1 });
}

/** Resolves when a worker has looked for jobs that belong to no consumer. */
async function rescueLook({ connection }: ForeignClient, queue: string): Promise<void> {
  const calls = [`CONSUMER.LIST.WQ_${queue}`, `DIRECT.GET.WQ_${queue}`];
  await Promise.all(
    calls.map((call) =>
      new Promise<void>((resolve) => connection.subscribe(`$JS.API.${call}`, { max: 1, callback: () => resolve() }))
    ),
  );
}

/** A retry whose worker died before it had acknowledged the job: who runs the retry removes the job's message. */
async function publishInterruptedRetry(client: ForeignClient, queue: string, id: string): Promise<void> {
  const ready = `wq.${queue}.ready.normal.${id}`;
  const schedule = { "Nats-Schedule": "@at 2099-01-01T00:00:00Z", "Nats-Schedule-Target": ready };
  const { seq } = await client.publish(`wq.${queue}.later.normal.${id}`, "1", schedule);
  await client.publish(ready, "1", { "Job-Replaces": String(seq) });
}

/** What each role of the table in `src/connection/README.md` does. */
export const ROLES: Record<string, RoleWork> = {
  "value reader": async ({ stores, names }) => {
    const kv = stores.kvBucket(names.bucket);
    assertEquals([(await kv.get("a"))?.text(), await kv.get("x")], ["a", null]);
    assertEquals((await kv.getMany(["a", "b", "x"]))?.size, 2);
  },
  "value reader with lists and watches": async ({ stores, names }) => {
    const kv = stores.kvBucket(names.bucket);
    const cached = stores.kvBucket(names.bucket, { cache: true });
    assertEquals((await Array.fromAsync(kv.keys())).sort(), ["a", "b"]);
    assertEquals((await Array.fromAsync(kv.history("a"))).length, 1);
    for await (const entry of kv.watch("a")) {
      assertEquals(entry.text(), "a");
      break;
    }
    assertEquals([(await kv.get("a"))?.text(), (await cached.get("a"))?.text()], ["a", "a"]);
    assertEquals((await kv.status())?.bucket, names.bucket);
  },
  "value writer": async ({ stores, names }) => {
    const kv = stores.kvBucket(names.bucket);
    const key = crypto.randomUUID();
    assertEquals(typeof await kv.put(key, "1"), "number");
    const revision = await kv.create(`${key}.x`, "1");
    assertEquals([typeof revision, await kv.create(`${key}.x`, "1")], ["number", false]);
    assertEquals(typeof await kv.update(`${key}.x`, "2", revision as number), "number");
    assertEquals([await kv.delete(key), await kv.purge(`${key}.x`)], [true, true]);
    assertEquals(typeof await kv.create(key, "1"), "number");
  },
  "object reader": async ({ stores, names }) => {
    const objects = stores.objectBucket(names.bucket);
    assertEquals([await objects.getText("small"), await objects.get("x")], ["text", null]);
    assertEquals([await objects.get("large"), (await objects.info("large"))?.size], [LARGE, LARGE.length]);
  },
  "object writer": async ({ stores, owner, timeout, names }) => {
    const objects = stores.objectBucket(names.bucket);
    const name = crypto.randomUUID();
    assertEquals((await objects.put(name, "1"))?.size, 1);
    assertEquals((await objects.put(name, LARGE))?.size, LARGE.length);
    const before = (await owner.objectBucket(names.bucket).status())!.bytes;
    assertEquals(await objects.delete(name), true);
    // The chunks are gone, too.
    await waitUntil(
      async () => (await owner.objectBucket(names.bucket).status())!.bytes < before - LARGE.length / 2,
      timeout,
    );
  },
  producer: async ({ stores, names }) => {
    const queue = stores.jobQueue(names.queue);
    const id = crypto.randomUUID();
    assertEquals((await queue.publish(1, { id, delay: 60_000 }))?.duplicate, false);
    assertEquals((await queue.publish(1, { id, delay: 60_000 }))?.duplicate, true);
    assertEquals((await queue.publish(1, { requestId: `${id}r`, delay: 60_000 }))?.duplicate, false);
    assertEquals((await queue.publishMany([{ data: 1, delay: 60_000 }, { data: 2, delay: 60_000 }]))?.length, 2);
  },
  "producer that replaces jobs": async ({ stores, owner, names }) => {
    const queue = stores.jobQueue<number>(names.queue);
    const id = crypto.randomUUID();
    for (const debounce of [60_000, 60_000]) {
      assertEquals((await queue.publish(1, { id, debounce }))?.duplicate, false);
    }
    await owner.jobQueue(names.queue).publish(1, { id: `${id}w` });
    assertEquals((await queue.publish(2, { id: `${id}w`, replace: true }))?.duplicate, false);
    assertEquals((await owner.jobQueue(names.queue).get(`${id}w`))?.data, 2);
    await owner.jobQueue(names.queue).cancel(`${id}w`);
  },
  "producer that waits for results": async ({ stores, owner, timeout, names }) => {
    const queue = stores.jobQueue(names.queue);
    await using _worker = owner.jobQueue(names.queue).consume((job) => {
      if (job.data === "bad") throw new Error("bad");
      return job.data;
    }, { maxAttempts: 1 });
    const id = crypto.randomUUID();
    await queue.publish("good", { id, keepResult: 60_000 });
    assertEquals(await queue.waitFor(id, { timeout }), "good");
    assertEquals((await queue.result(id))?.value, "good");
    await queue.publish("bad", { id: `${id}2` });
    await assertRejects(() => queue.waitFor(`${id}2`, { timeout }), JobFailedError, "bad");
  },
  worker: async ({ stores, owner, client, timeout, names }) => {
    const queue = owner.jobQueue(names.queue);
    await queue.limitRate({ jobs: 1_000, interval: 100 });
    const id = crypto.randomUUID();
    const cancelled = Promise.withResolvers<void>();
    const failed = new Set<string>();
    const worker = stores.jobQueue(names.queue).consume(async (job) => {
      if (!job.id.startsWith(id)) return;
      if (job.data === "cancel") {
        job.signal.addEventListener("abort", () => cancelled.resolve(), { once: true });
        await queue.cancel(job.id);
        return await cancelled.promise;
      }
      await job.progress(1);
      if (job.data === "bad" || (job.data === "twice" && failed.size < failed.add(job.id).size)) throw new Error("bad");
      return job.data;
    }, { maxAttempts: 2, backoff: 1, concurrency: 5 });
    // One that lacks a right would go on trying to report its jobs.
    await using _ = { [Symbol.asyncDispose]: async () => void await worker.stop({ deadline: 500 }) };
    const told = new Set<string>();
    const stop = new AbortController();
    const following = (async () => {
      for await (const event of queue.events({ signal: stop.signal })) {
        if (event.id.startsWith(id)) told.add(event.type);
      }
    })();
    following.catch(() => {});
    const rescue = rescueLook(client, names.queue);
    await publishInterruptedRetry(client, names.queue, `${id}retry`);
    for (const data of ["good", "twice"]) {
      await queue.publish(data, { id: id + data, keepResult: 60_000 });
      assertEquals(await queue.waitFor(id + data, { timeout }), data);
    }
    await queue.publish("twice", { id: `${id}keyed`, key: "k", keepResult: 60_000 });
    assertEquals(await queue.waitFor(`${id}keyed`, { timeout }), "twice");
    await queue.publish("bad", { id: `${id}bad`, maxAttempts: 1 });
    await assertRejects(() => queue.waitFor(`${id}bad`, { timeout }), JobFailedError, "bad");
    await queue.publish("cancel", { id: `${id}cancel` });
    await within(cancelled.promise, timeout);
    await waitUntil(() => worker.status().state === "serving", timeout);
    await queue.pause();
    await waitUntil(() => worker.status().state === "paused", timeout);
    await queue.resume();
    await waitUntil(() => worker.status().state === "serving", timeout);
    await within(rescue, timeout);
    await waitUntil(async () => await queue.get(`${id}retry`) === null, timeout);
    await waitUntil(async () => (await queue.workers())?.length === 1, timeout);
    stop.abort();
    await following;
    assertEquals(["started", "progress", "completed", "retried", "dead"].filter((type) => !told.has(type)), []);
  },
  viewer: async ({ stores, owner, timeout, names }) => {
    const queue = stores.jobQueue(names.queue);
    const counts = await queue.counts();
    assertEquals([counts !== null && counts.dead > 0, (await queue.get("delayed"))?.state], [true, "delayed"]);
    assertEquals((await Array.fromAsync(queue.jobs({ kind: "delayed" }))).some(({ id }) => id === "delayed"), true);
    assertEquals((await Array.fromAsync(queue.deadLetters())).some(({ id }) => id === "dead"), true);
    assertEquals((await Array.fromAsync(queue.schedules())).map(({ id }) => id), ["daily"]);
    assertEquals(await queue.result("x"), null);
    assertEquals(await queue.workers(), []);
    const id = crypto.randomUUID();
    const events = queue.events();
    const next = events.next();
    const ended = Promise.withResolvers<void>();
    const publishing = (async () => {
      for (
        let i = 0;
        await Promise.race([ended.promise, owner.jobQueue(names.queue).publish(1, { id: id + i, delay: 60_000 })]);
      ) {
        await owner.jobQueue(names.queue).cancel(id + i++);
      }
    })();
    try {
      assertEquals((await within(next, timeout)).value?.type, "cancelled");
    } finally {
      ended.resolve();
      await publishing;
      await events.return();
    }
  },
  operator: async ({ stores, owner, timeout, names }) => {
    const queue = stores.jobQueue(names.queue);
    const id = crypto.randomUUID();
    const events = owner.jobQueue(names.queue).events();
    const cancelled = (async () => {
      for await (const event of events) if (event.id === id && event.type === "cancelled") return;
    })();
    cancelled.catch(() => {});
    await owner.jobQueue(names.queue).publish(1, { id, delay: 60_000 });
    assertEquals([await queue.update(id, 2), await queue.reschedule(id, { delay: 5_000 })], [true, true]);
    assertEquals([await queue.promote(id), await queue.update(id, 3)], [true, true]);
    assertEquals([await queue.cancel(id), await queue.cancel(id)], [true, false]);
    assertEquals([await queue.pause(), (await queue.counts()) !== null, await queue.resume()], [true, true, true]);
    assertEquals([await queue.schedule(id, { every: 60_000, data: 1 }), await queue.unschedule(id)], [true, true]);
    assertEquals([await queue.limitActive({ low: 7 }), await queue.limitActive({ low: null })], [true, true]);
    const worker = owner.jobQueue(names.queue).consume((job) => {
      if (job.id.startsWith(id)) throw new Error("bad");
    }, { maxAttempts: 1 });
    for (const dead of [`${id}1`, `${id}2`]) {
      await owner.jobQueue(names.queue).publish(1, { id: dead });
      await assertRejects(() => owner.jobQueue(names.queue).waitFor(dead, { timeout }), JobFailedError);
    }
    await worker.stop();
    assertEquals([await queue.redrive(`${id}1`), await queue.discard(`${id}2`)], [1, true]);
    try {
      await within(cancelled, timeout);
    } finally {
      await events.return();
    }
  },
  "value owner": ({ stores, names }) => useValues(stores, names.bucket),
  "object owner": ({ stores, names }) => useObjects(stores, names.bucket),
  "queue owner": ({ stores, timeout, names }) => useQueue(stores, names.queue, timeout),
};
