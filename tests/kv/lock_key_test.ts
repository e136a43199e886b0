import { assert, assertEquals, assertRejects } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil, within } from "../_support/wait_until.ts";

/** Loses all answers to the write that locks a key. */
function loseLockAnswers(proxy: Proxy): void {
  const replies = new Set<string>();
  proxy.tampering.drop = (subject) => replies.has(subject);
  proxy.tampering.lose = (subject, payload, reply) => {
    if (reply && subject === "$KV.locks.l" && /Subject-Sequence: 0\r/.test(payload)) replies.add(reply);
    return false;
  };
}

Deno.test("KvBucket.lock that has waited gives the lock before the consumer of its watch is removed", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: proxy.url });
  const held = (await stores.kvBucket("locks").lock("l"))!;
  let isLocked = false;
  const lockedAtRemoval = Promise.withResolvers<boolean>();
  proxy.tampering.lose = (subject) => {
    if (!subject.includes("CONSUMER.DELETE")) return false;
    lockedAtRemoval.resolve(isLocked);
    return true;
  };
  const waiting = others.kvBucket("locks").lock("l", { wait: 60_000 }).then((lock) => (isLocked = true, lock));
  await waitUntil(async () => (await stores.consumers("locks")).length === 1);
  assertEquals(await held.release(), true);
  await using lock = await within(waiting);
  assert(lock);
  assertEquals(await within(lockedAtRemoval.promise), true);
});

Deno.test("KvBucket.lock releases what it has stored without an answer, though it had none until its deadline", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: proxy.url, timeout: 6_000 });
  const locks = stores.kvBucket("locks");
  await locks.put("other", "");
  await waitUntil(async () => await others.connect() !== null);
  loseLockAnswers(proxy);
  const { lose } = proxy.tampering;
  let isLost = false;
  // The release reads whether the lock is stored, and reads it again after a second without an answer.
  proxy.tampering.lose = (subject, payload, reply) =>
    lose!(subject, payload, reply) || subject.includes("STREAM.MSG.GET") && !isLost && (isLost = true);
  assertEquals(await others.kvBucket("locks").lock("l", { lease: 600_000 }), null);
  await using lock = await locks.lock("l", { wait: 60_000 });
  assertEquals([lock !== null, isLost], [true, true]);
});

Deno.test("KvBucket.lock throws its signal's reason and logs why the lock is not released, where the server refuses that", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await using others = new KvStores({ servers: proxy.url, timeout: 6_000 });
  const locks = stores.kvBucket("locks");
  await locks.put("other", "");
  await stores.config("locks");
  await waitUntil(async () => await others.connect() !== null);
  loseLockAnswers(proxy);
  const [aborting, reason] = [new AbortController(), new Error("enough")];
  const waiting = others.kvBucket("locks").lock("l", { lease: 600_000, signal: aborting.signal });
  await waitUntil(async () => (await locks.get("l")) !== null);
  await stores.api("STREAM.UPDATE.KV_locks", { ...await stores.config("locks"), sealed: true });
  aborting.abort(reason);
  assertEquals(await assertRejects(() => waiting), reason);
  await waitUntil(() =>
    others.log.some((line) => /^The lock "l" ends with its lease, it is not released: /.test(line))
  );
});
