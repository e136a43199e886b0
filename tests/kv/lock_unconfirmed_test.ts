import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import type { KvLock } from "../../mod.ts";
import { delay } from "../../src/delay.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil, within } from "../_support/wait_until.ts";

/** Loses all that the server sends from when a lock has been written; settles when that attempt is over, and the call follows the key. */
function loseAnswers(proxy: Proxy): Promise<void> {
  const ended = Promise.withResolvers<void>();
  let isDark = false;
  proxy.tampering.drop = () => isDark;
  proxy.tampering.lose = (subject) => {
    isDark ||= subject.startsWith("$KV.");
    if (isDark && subject.includes("CONSUMER.CREATE")) ended.resolve();
    return false;
  };
  return ended.promise;
}

/** Lets a call wait for a lock, and cuts it off from the answer to its write until 60 % of that lease are over; gives the lock. */
async function lockCutOff(stores: KvStores, others: KvStores, proxy: Proxy, lease: number): Promise<KvLock> {
  const locks = stores.kvBucket("locks");
  const held = (await locks.lock("l", { lease }))!;
  let dark = false;
  proxy.tampering.drop = () => dark;
  const waiting = others.kvBucket("locks").lock("l", { lease, wait: 120_000 });
  await waitUntil(async () => (await stores.consumers("locks")).length === 1);
  // The first write of a lock expects no message, and the marker of the release refuses it.
  proxy.tampering.lose = (subject, payload) => {
    dark ||= subject.startsWith("$KV.") && !/Subject-Sequence: 0\r/.test(payload);
    return false;
  };
  assertEquals(await held.release(), true);
  await waitUntil(async () => (await locks.get("l")) !== null);
  await delay(0.6 * lease);
  proxy.tampering.lose = proxy.tampering.drop = undefined;
  proxy.cut();
  return (await within(waiting, 60_000))!;
}

for (const isCutAgain of [true, false]) {
  const outcome = isCutAgain ? "aborts before that lease is over" : "does not abort while it can be renewed";
  Deno.test(`KvLock.signal of a waiting call that finds its unconfirmed write stored ${outcome}`, async () => {
    await using server = await startNatsServer();
    await using proxy = new Proxy(server.url);
    await using stores = new KvStores({ servers: server.url });
    await using others = new KvStores({ servers: proxy.url, timeout: 3_000 });
    await waitUntil(async () => await others.connect() !== null);
    const [locks, lease] = [stores.kvBucket("locks"), 10_000];
    const lock = await lockCutOff(stores, others, proxy, lease);
    if (!isCutAgain) {
      assertEquals(await locks.lock("l", { wait: 5_000 }), null);
      assertEquals([lock.signal.aborted, await lock.release()], [false, true]);
      return;
    }
    proxy.tampering.refuse = () => true;
    proxy.cut();
    await using next = (await within(locks.lock("l", { wait: 60_000 }), 60_000))!;
    assertEquals(lock.signal.aborted, true);
    assertGreater(next.fence, lock.fence);
  });
}

Deno.test("KvBucket.lock that waits gets the lock that its first attempt stored without a confirmation", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: proxy.url, timeout: 3_000 });
  await waitUntil(async () => await others.connect() !== null);
  await stores.kvBucket("locks").put("other", "");
  const ended = loseAnswers(proxy);
  const waiting = others.kvBucket("locks").lock("l", { lease: 30_000, wait: 60_000 });
  await waitUntil(async () => (await stores.kvBucket("locks").get("l")) !== null);
  await within(ended);
  proxy.tampering.drop = proxy.tampering.lose = undefined;
  proxy.cut();
  await using lock = (await within(waiting, 60_000))!;
  assertEquals([lock.fence, lock.signal.aborted], [(await stores.kvBucket("locks").get("l"))?.revision, false]);
});

Deno.test("KvBucket.lock throws its signal's reason, and has released what an unconfirmed attempt stored", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: proxy.url, timeout: 3_000 });
  await waitUntil(async () => await others.connect() !== null);
  const locks = stores.kvBucket("locks");
  await locks.put("other", "");
  const [aborting, reason] = [new AbortController(), new Error("enough")];
  const ended = loseAnswers(proxy);
  const waiting = others.kvBucket("locks").lock("l", { lease: 60_000, wait: 60_000, signal: aborting.signal });
  await waitUntil(async () => (await locks.get("l")) !== null);
  await within(ended);
  proxy.tampering.drop = proxy.tampering.lose = undefined;
  aborting.abort(reason);
  assertEquals(await assertRejects(() => waiting), reason);
  assertEquals(await locks.get("l"), null);
});

Deno.test("close() releases a lock that is confirmed while it closes", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: proxy.url });
  const locks = stores.kvBucket("locks");
  await locks.put("other", "");
  let answer: string | undefined;
  const lost = Promise.withResolvers<void>();
  proxy.tampering.lose = (subject, _payload, reply) => {
    if (subject === "$KV.locks.l") answer ??= reply;
    return false;
  };
  let isLost = false;
  proxy.tampering.drop = (subject) => {
    if (subject !== answer || isLost) return false;
    isLost = true;
    lost.resolve();
    return true;
  };
  const locking = others.kvBucket("locks").lock("l", { lease: 60_000 });
  await within(lost.promise);
  await others.close();
  assertEquals(await locking, null);
  assertEquals(await locks.get("l"), null);
});

Deno.test("KvLock.release takes one timeout when the server does not answer, though a renewal is under way", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url, timeout: 4_000 });
  await using others = new KvStores({ servers: proxy.url, timeout: 6_000 });
  const lock = (await stores.kvBucket("locks").lock("l", { lease: 20_000 }))!;
  await others.kvBucket("locks").get("l");
  const renewing = Promise.withResolvers<void>();
  proxy.tampering.lose = (subject) => {
    if (subject.startsWith("$KV.")) renewing.resolve();
    return true;
  };
  await within(renewing.promise);
  // The read takes one and a half times as long as the release may.
  const released = lock.release().then((result) => ["released", result]);
  const read = others.kvBucket("locks").get("l").then((entry) => ["read", entry]);
  assertEquals(await Promise.race([released, read]), ["released", null]);
  await read;
});

Deno.test("KvLock.release that got no answer removes the key once the server answers again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: proxy.url, timeout: 5_000 });
  const locks = stores.kvBucket("locks");
  const lock = (await others.kvBucket("locks").lock("l", { lease: 20_000 }))!;
  const seen: string[] = [];
  const over = new AbortController();
  const watching = (async () => {
    for await (const { operation } of locks.watch("l", { signal: over.signal })) seen.push(operation);
  })();
  await waitUntil(() => seen.length === 1);
  const renewing = Promise.withResolvers<void>();
  proxy.tampering.drop = () => true;
  proxy.tampering.lose = (subject) => {
    if (subject.startsWith("$KV.")) renewing.resolve();
    return true;
  };
  await within(renewing.promise);
  assertEquals(await lock.release(), null);
  proxy.tampering.drop = proxy.tampering.lose = undefined;
  // The removal may have been sent before, and is sent again after a second. What ends with its lease has no marker.
  await waitUntil(() => seen.includes("delete"));
  over.abort();
  await watching;
});
