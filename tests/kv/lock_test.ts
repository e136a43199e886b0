import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import type { KvLock } from "../../mod.ts";
import { delay } from "../../src/delay.ts";
import { startProcess } from "../_support/start_process.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { Proxy } from "../_support/proxy.ts";

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
  const first = (await locks.lock("l"))!;
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
  await using lock = (await locks.lock("l", { lease: 1_000 }))!;
  let renewals = 0;
  const renewed = Promise.withResolvers<void>();
  const stop = await stores.listen("$KV.locks.l", () => ++renewals === 8 && renewed.resolve());
  await within(renewed.promise);
  stop();
  assertEquals([lock.signal.aborted, await locks.lock("l")], [false, null]);
  assertEquals(await lock.release(), true);
});

Deno.test("KvBucket.lock gets the lock of a killed holder when its lease is over, and not before", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const locks = stores.kvBucket("locks");
  await using holder = startProcess(new URL("./_lock_holder.ts", import.meta.url), server.url);
  await holder.nextLine();
  const fence = Number((await holder.nextLine()).split(" ")[1]);
  await holder.kill();
  const entry = (await locks.get("l"))!;
  assertGreater(entry.revision, fence - 1);
  await using lock = (await locks.lock("l", { wait: 60_000 }))!;
  const taken = (await locks.get("l"))!;
  assertGreater(lock.fence, entry.revision);
  assert(taken.created.getTime() - entry.created.getTime() >= 990, "before its lease was over");
});

Deno.test("KvLock.signal aborts before its lease is over when the server does not answer", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url, timeout: 500 });
  const lock = (await stores.kvBucket("locks").lock("l", { lease: 2_000 }))!;
  const begun = performance.now();
  server.suspend();
  assertEquals((await lost(lock)).code, "disconnected");
  assertGreater(performance.now() - begun, 500);
  assertEquals(await lock.release(), null);
  server.resume();
});

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
    await using others = new KvStores({ servers: proxy.url, timeout: 1_000 });
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

Deno.test("KvLock.signal aborts when another client writes or deletes its key, and release reports it", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const locks = stores.kvBucket("locks");
  for (const take of [() => locks.put("l", "mine"), () => locks.delete("l")]) {
    await locks.purge("l");
    const lock = (await locks.lock("l", { lease: 1_000 }))!;
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

Deno.test("KvBucket.lock has one holder at any moment by its fence, though 20 holders are killed or suspended", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const script = new URL("./_lock_holder.ts", import.meta.url);
  await using stack = new AsyncDisposableStack();
  const holders = Array.from({ length: 4 }, () => stack.use(startProcess(script, server.url)));
  const stopped: number[] = [];
  const stopping = (async () => {
    for (let i = 0; stopped.length < 20; i = (i + 1) % holders.length) {
      for (;;) {
        const line = await holders[i].nextLine();
        if (!line.startsWith("holds ")) continue;
        stopped.push(Number(line.slice(6)));
        break;
      }
      if (stopped.length % 2 === 0) {
        await holders[i].kill();
        holders[i] = stack.use(startProcess(script, server.url));
      } else {
        const suspended = holders[i];
        suspended.signal("SIGSTOP");
        // Somebody else gets it meanwhile.
        const { revision } = (await stores.kvBucket("locks").get("l")) ?? { revision: 0 };
        await waitUntil(async () => ((await stores.kvBucket("locks").get("l"))?.revision ?? 0) > revision);
        suspended.signal("SIGCONT");
      }
    }
  })();
  await within(stopping, 180_000);
  const resources = stores.kvBucket("resources");
  const fences = (await resources.get("r"))!.json<number[]>();
  assertEquals(fences, fences.toSorted((a, b) => a - b));
  assertEquals(await resources.get("doubles"), null);
  assertGreater(new Set(fences).size, 10);
  assertEquals(stopped.length, 20);
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
