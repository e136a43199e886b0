import { assertEquals } from "@std/assert";
import { JetStreamStores, type KvBucket } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { inSync } from "../_support/in_sync.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** A text for a version of a key, of another size for each key: some are larger than what a pull has left. */
function textOf(key: number, version: number): string {
  return `${key} ${version} `.padEnd(key % 7 === 0 ? 700_000 : 1_000 * (key % 50 + 1), "x");
}

/** Stores versions of many keys. */
async function fill(bucket: KvBucket, keys: number, versions: number): Promise<Map<string, string>> {
  const newest = new Map<string, string>();
  for (let version = 1; version <= versions; version++) {
    await Promise.all(Array.from({ length: keys }, async (_, key) => {
      newest.set(`key.${key}`, textOf(key, version));
      assertEquals(typeof await bucket.put(`key.${key}`, textOf(key, version)), "number");
    }));
  }
  return newest;
}

/** Follows a bucket until all that was there is given, and on until it is stopped; the loop waits for something at its first entry. */
async function follow(
  bucket: KvBucket,
  given: Map<string, string>,
  atFirst: () => Promise<void> = () => Promise.resolve(),
): Promise<() => void> {
  const stopping = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const watching = async () => {
    for await (const entry of bucket.watch(">", { initialized: resolve, signal: stopping.signal })) {
      if (given.size === 0) await atFirst();
      given.set(entry.key, entry.text());
    }
  };
  watching().catch(reject);
  await promise;
  return () => stopping.abort();
}

Deno.test("KvBucket.watch, a cache and lists give the newest value of each key that has a history, of whatever size", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: false, timeout: 30_000 });
  const bucket = stores.kvBucket("b", { history: 3 });
  const newest = await fill(bucket, 150, 2);
  const watched = new Map<string, string>();
  (await follow(bucket, watched))();
  assertEquals(watched, newest);
  const listed = await Array.fromAsync(bucket.entries(), (entry) => [entry.key, entry.text()] as const);
  assertEquals(new Map(listed), newest);
  const cached = stores.kvBucket("b", { cache: true });
  await inSync(cached);
  for (const [key, value] of newest) assertEquals((await cached.get(key))?.text(), value, key);
});

Deno.test("KvBucket.watch is initialized once it has given all keys that have a history, though others lose theirs meanwhile", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: false, timeout: 30_000 });
  const bucket = stores.kvBucket("b", { history: 2 });
  const newest = await fill(bucket, 60, 2);
  const watched = new Map<string, string>();
  const stop = await follow(bucket, watched, async () => {
    for (let version = 3; version <= 4; version++) {
      for (let key = 1; key < 60; key += 2) {
        newest.set(`key.${key}`, textOf(key, version));
        await bucket.put(`key.${key}`, textOf(key, version));
      }
    }
  });
  assertEquals(watched.size, 60);
  await waitUntil(() => [...newest].every(([key, value]) => watched.get(key) === value));
  stop();
});

Deno.test("KvBucket.watch whose loop lags behind gives all keys that have a history", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: false, timeout: 30_000 });
  const bucket = stores.kvBucket("b", { history: 2 });
  const newest = await fill(bucket, 60, 2);
  const watched = new Map<string, string>();
  // The server removes a consumer that nobody asks for messages.
  (await follow(bucket, watched, () => new Promise((resolve) => setTimeout(resolve, 14_000))))();
  assertEquals(watched, newest);
});
