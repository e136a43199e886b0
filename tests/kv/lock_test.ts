import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import type { KvLock } from "../../mod.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";

/** Resolves with the reason once a lock's signal has aborted. */
function lost(lock: KvLock): Promise<{ code?: string; name: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code?: string; name: string }>();
  if (lock.signal.aborted) resolve(lock.signal.reason);
  lock.signal.addEventListener("abort", () => resolve(lock.signal.reason));
  return within(promise, 30_000);
}

Deno.test("KvBucket.lock gives a key to one holder at a time, each with a higher fence", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const locks = stores.kvBucket("locks");
  const first = (await locks.lock("l", { lease: 60_000 }))!;
  assertEquals([first.key, first.signal.aborted], ["l", false]);
  assertEquals(await locks.lock("l"), null);
  assertEquals((await locks.get("l"))?.revision, first.fence);
  const other = (await locks.lock("other"))!;
  assertEquals(await first.release(), true);
  assertEquals(await first.release(), true);
  assertEquals(first.signal.reason.name, "AbortError");
  assertEquals(await locks.get("l"), null);
  {
    await using second = (await locks.lock("l"))!;
    assertGreater(second.fence, first.fence);
  }
  assertEquals(await locks.get("l"), null);
  await other.release();
});

Deno.test("KvBucket.lock gives a released lock to a waiting call, which the server notifies and which does not poll", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: server.url });
  const held = (await stores.kvBucket("locks").lock("l", { lease: 60_000 }))!;
  let asked = 0;
  const stop = await stores.listen(">", (subject) => {
    if (subject.startsWith("$KV.") || subject.includes(".MSG.GET") || subject.includes("DIRECT.GET")) asked++;
  });
  const waiting = others.kvBucket("locks").lock("l", { wait: 60_000 });
  await waitUntil(async () => (await stores.consumers("locks")).length === 1);
  // It looks once behind its watch; then a whole second passes without a question.
  await waitUntil(async () => {
    const before = asked;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return asked === before;
  });
  assertEquals(await held.release(), true);
  const next = (await within(waiting))!;
  assertGreater(next.fence, held.fence);
  stop();
  await next.release();
  await waitUntil(async () => (await stores.consumers("locks")).length === 0);
});

Deno.test("KvBucket.lock is renewed while it is held", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const locks = stores.kvBucket("locks");
  // An attempt may take half of its lease: the bucket is made, with TTLs, before.
  await locks.put("other", "", { ttl: 60_000 });
  await using lock = (await locks.lock("l", { lease: 6_000 }))!;
  let renewals = 0;
  const renewed = Promise.withResolvers<void>();
  const stop = await stores.listen("$KV.locks.l", () => ++renewals === 4 && renewed.resolve());
  await within(renewed.promise);
  stop();
  assertEquals([lock.signal.aborted, await locks.lock("l")], [false, null]);
  assertEquals(await lock.release(), true);
});

Deno.test("KvLock.signal aborts before its lease is over when the server does not answer", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url, timeout: 3_000 });
  const locks = stores.kvBucket("locks");
  await waitUntil(async () => await locks.put("other", "", { ttl: 60_000 }) !== null);
  const lock = (await locks.lock("l", { lease: 8_000 }))!;
  const begun = performance.now();
  server.suspend();
  assertEquals((await lost(lock)).code, "disconnected");
  assertGreater(performance.now() - begun, 500);
  assertEquals(await lock.release(), null);
  server.resume();
});

Deno.test("KvLock.signal aborts when another client writes or deletes its key, and release reports it", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const locks = stores.kvBucket("locks");
  await locks.put("other", "", { ttl: 60_000 });
  for (const take of [() => locks.put("l", "mine"), () => locks.delete("l")]) {
    await locks.purge("l");
    const lock = (await locks.lock("l", { lease: 9_000 }))!;
    await take();
    assertEquals((await lost(lock)).code, "replaced");
    assertEquals(await lock.release(), false);
  }
});

Deno.test("KvBucket.lock stops waiting at its limit, by its signal and at close(), and leaves nothing behind", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: server.url });
  await using held = (await stores.kvBucket("locks").lock("l", { lease: 60_000 }))!;
  const locks = others.kvBucket("locks");
  assertEquals(await locks.lock("l", { wait: 200 }), null);
  const reason = new Error("enough");
  const aborting = new AbortController();
  const waiting = locks.lock("l", { wait: 60_000, signal: aborting.signal });
  await waitUntil(async () => (await stores.consumers("locks")).length === 1);
  aborting.abort(reason);
  assertEquals(await assertRejects(() => waiting), reason);
  assertEquals(await assertRejects(() => locks.lock("x", { signal: aborting.signal })), reason);
  await waitUntil(async () => (await stores.consumers("locks")).length === 0);
  const last = locks.lock("l", { wait: 60_000 });
  await waitUntil(async () => (await stores.consumers("locks")).length === 1);
  await others.close();
  assertEquals(await last, null);
  assertEquals(held.signal.aborted, false);
});

Deno.test("close() releases the locks that are held", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: server.url });
  const lock = (await stores.kvBucket("locks").lock("l", { lease: 60_000 }))!;
  await stores.close();
  assertEquals(lock.signal.aborted, true);
  await using next = await others.kvBucket("locks").lock("l");
  assert(next);
});

Deno.test("KvBucket.lock throws for invalid options, and in buckets whose entries could not be renewed", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const locks = stores.kvBucket("locks");
  await assertRejects(() => locks.lock("l", { lease: 999 }), RangeError, "'lease' must be ≥ 1000 ms");
  await assertRejects(() => locks.lock("l", { wait: -1 }), RangeError, "'wait' must be ≥ 0 ms");
  await assertRejects(() => stores.kvBucket("old", { history: 3 }).lock("l"), Error, "keeps 3 revisions");
  await assertRejects(
    () => stores.kvBucket("short", { ttl: 5_000 }).lock("l"),
    RangeError,
    "'lease' must be ≤ the bucket's ttl",
  );
});

Deno.test("KvBucket.lock outlives the loss of the leader of three replicas", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using stores = new KvStores({ servers: cluster.urls, timeout: 30_000 });
  const locks = stores.kvBucket("locks", { replicas: 3 });
  await using lock = (await locks.lock("l", { lease: 120_000 }))!;
  const { cluster: { leader } } = await stores.api<{ cluster: { leader: string } }>("STREAM.INFO.KV_locks");
  await cluster.servers.find(({ name }) => name === leader)!.kill();
  await using others = new KvStores({ servers: cluster.urls, timeout: 30_000 });
  assertEquals(await others.kvBucket("locks", { replicas: 3 }).lock("l"), null);
  assertEquals([lock.signal.aborted, await lock.release()], [false, true]);
});
