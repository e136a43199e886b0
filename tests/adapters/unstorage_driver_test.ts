import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { unstorageDriver } from "../../src/adapters/unstorage.ts";
import { JetStreamStoreError } from "../../src/errors.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { openStores } from "../_support/open_stores.ts";
import { createStorage, restoreSnapshot, snapshot } from "../_support/packages/unstorage.ts";
import { Proxy } from "../_support/proxy.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil, within } from "../_support/wait_until.ts";

/** A storage over a bucket of a server of its own. */
async function openStorage() {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const stores = stack.use(openStores(server.url));
  const bucket = stores.kvBucket("items");
  const storage = createStorage({ driver: unstorageDriver(bucket) });
  return { server, stores, bucket, storage, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

// unstorage's own driver tests are not in its package: these check what each of them does.

Deno.test("unstorageDriver has nothing in a bucket that does not exist, and does not make it", async () => {
  await using opened = await openStorage();
  const { storage, stores } = opened;
  assertEquals(await storage.hasItem("s1:a"), false);
  assertEquals(await storage.getItem("s2:a"), null);
  assertEquals(await storage.getItemRaw("s2:a"), null);
  assertEquals(await storage.getKeys(), []);
  await storage.clear();
  assertEquals(await Array.fromAsync(stores.kvBuckets()), []);
});

Deno.test("unstorageDriver restores a snapshot, and takes one", async () => {
  await using opened = await openStorage();
  const { storage } = opened;
  await restoreSnapshot(storage, { initial: "works", "a:b": { c: 1 } });
  assertEquals(await storage.getItem("initial"), "works");
  assertEquals(await snapshot(storage, "") as unknown, { initial: "works", "a:b": { c: 1 } });
  assertEquals(await snapshot(storage, "a") as unknown, { b: { c: 1 } });
});

Deno.test("unstorageDriver stores, loads and removes items, and ignores what stands behind a question mark", async () => {
  await using opened = await openStorage();
  const { storage } = opened;
  await storage.setItem("s1:a", "test_data");
  await storage.setItem("s3:a?q=1", "test_data");
  assertEquals(await storage.hasItem("s1:a"), true);
  assertEquals(await storage.getItem("s1:a"), "test_data");
  assertEquals(await storage.getItem("s3:a?q=2"), "test_data");
  await storage.removeItem("s1:a");
  assertEquals(await storage.hasItem("s1:a"), false);
  assertEquals(await storage.getItem("s1:a"), null);
});

Deno.test("unstorageDriver lists keys by base and depth, and of its own base only", async () => {
  await using opened = await openStorage();
  const { storage } = opened;
  const keys = ["depth0_0", "depth0:depth1:depth2_0", "depth0:depth1:depth2_1", "depth0:depth1_0", "depth0:depth1_1"];
  for (const key of [...keys, "depth:x", "depth0.5:x", "*:x", ">:x:y"]) await storage.setItem(key, "test_data");
  const listed = async (...args: Parameters<typeof storage.getKeys>) => (await storage.getKeys(...args)).sort();
  assertEquals(await listed("depth0"), keys.slice(1).sort());
  assertEquals(await listed("depth0:depth1"), keys.slice(1, 3));
  assertEquals(await listed("*"), ["*:x"]);
  assertEquals(await listed(">:x"), [">:x:y"]);
  assertEquals(await listed(undefined, { maxDepth: 0 }), ["depth0_0"]);
  assertEquals(await listed("depth0", { maxDepth: 1 }), ["depth0:depth1_0", "depth0:depth1_1"]);
  assertEquals((await listed()).length, 9);
});

/** A value that JSON writes in its own way. */
class ToJson {
  constructor(readonly json: unknown) {}
  toJSON = () => this.json;
}

Deno.test("unstorageDriver gives back objects, primitives and what toJSON returns, and falsy values", async () => {
  await using opened = await openStorage();
  const { storage } = opened;
  const stored: [string, unknown, unknown][] = [
    ["/data/test.json", { json: "works" }, { json: "works" }],
    ["/data/true.json", true, true],
    ["/data/serialized1.json", new ToJson("SERIALIZED"), "SERIALIZED"],
    ["/data/serialized2.json", new ToJson({ serializedObj: "works" }), { serializedObj: "works" }],
    ["zero", 0, 0],
    ["my-false-flag", false, false],
  ];
  for (const [key, value, expected] of stored) {
    await storage.setItem(key, value as string);
    assertEquals(await storage.getItem(key), expected as string, key);
  }
  class Test {}
  await assertRejects(() => storage.setItem("/data/badvalue.json", new Test()), Error, "Cannot stringify value");
});

Deno.test("unstorageDriver keeps bytes as they are, whatever view they come in", async () => {
  await using opened = await openStorage();
  const { storage, bucket } = opened;
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const within = new Uint8Array(300);
  within.set(bytes, 10);
  const raw = {
    array: bytes,
    buffer: bytes.buffer,
    view: new DataView(within.buffer, 10, 256),
    part: within.subarray(10, 266),
  };
  for (const [key, value] of Object.entries(raw)) {
    await storage.setItemRaw(`/data/${key}.bin`, value);
    assertEquals(await storage.getItemRaw(`/data/${key}.bin`), bytes, key);
  }
  await storage.setItemRaw("text", "ü");
  assertEquals(await storage.getItem("text"), "ü");
  // The colons of an item's key are the dots of every other client's.
  assertEquals((await bucket.get("data.array:bin"))?.value, bytes);
  await assertRejects(() => storage.setItemRaw("number", 5), TypeError, "'value' must be a string, an ArrayBuffer");
});

Deno.test("unstorageDriver stores and loads many items at once, in their order", async () => {
  await using opened = await openStorage();
  const { storage } = opened;
  const keys = Array.from({ length: 500 }, (_, i) => `t:${i}`);
  await storage.setItems(keys.map((key) => ({ key, value: `test_data_${key}` })));
  assertEquals(
    await storage.getItems([...keys.map((key) => ({ key })).reverse(), "v4:undefined"]),
    [...keys.map((key) => ({ key, value: `test_data_${key}` })).reverse(), {
      key: "v4:undefined",
      value: null as never,
    }],
  );
  await storage.clear();
  assertEquals(await storage.getKeys(), []);
  await storage.clear();
});

Deno.test("unstorageDriver clears what is below a base, and a mounted one what it has", async () => {
  await using opened = await openStorage();
  const { storage, stores } = opened;
  const driver = unstorageDriver(stores.kvBucket("mounted"));
  storage.mount("cache", driver);
  for (const key of ["c", "cache:a:b:c", "cache:a:b", "cache:ab:c", "cache:c"]) await storage.setItem(key, "1");
  await driver.clear("a");
  assertEquals((await storage.getKeys()).sort(), ["c", "cache:ab:c", "cache:c"]);
  await storage.clear("cache");
  assertEquals(await storage.getKeys(), ["c"]);
});

Deno.test("unstorageDriver returns when an item was stored and how large it is", async () => {
  await using opened = await openStorage();
  const { storage } = opened;
  await storage.setItem("a", "12345");
  await storage.setMeta("a", { author: "ann" });
  const { mtime, ...meta } = await storage.getMeta("a");
  assert(mtime instanceof Date);
  assertEquals(meta, { size: 5, revision: 1, author: "ann" });
  assertEquals({ ...await storage.getMeta("b") }, {});
});

testFrom("2.11")("unstorageDriver lets the server remove an item after its ttl in seconds", async () => {
  await using opened = await openStorage();
  const { storage } = opened;
  await storage.setItem("short", "1", { ttl: 1 });
  await storage.setItems([{ key: "short2", value: "1", options: { ttl: 1 } }, { key: "long", value: "2" }], {
    ttl: 60,
  });
  await storage.setItem("kept", "3", { ttl: 0 });
  await waitUntil(async () => (await storage.getKeys()).length === 2);
  assertEquals((await storage.getKeys()).sort(), ["kept", "long"]);
  await assertRejects(() => storage.setItem("bad", "1", { ttl: -1 }), RangeError, "'ttl' must be ≥ 0");
  await assertRejects(() => storage.setItem("bad", "1", { ttl: "1" }), RangeError, `current value is "1"`);
});

Deno.test("unstorageDriver watches all changes, its own and others', until it is stopped", async () => {
  await using opened = await openStorage();
  const { storage, bucket, server } = opened;
  await storage.setItem("before", "1");
  const seen: string[] = [];
  const unwatch = await storage.watch((event, key) => void seen.push(`${event} ${key}`));
  await storage.setItem("a:b", "1");
  // The bucket has one value for each key: what is replaced at once may never be sent.
  await waitUntil(() => seen.length === 1);
  await storage.removeItem("a:b");
  await bucket.put("c.d", "2");
  await bucket.purge("before");
  await waitUntil(() => seen.length === 4);
  assertEquals(seen, ["update a:b", "remove a:b", "update c:d", "remove before"]);
  await unwatch();
  await storage.setItem("after", "1");
  assertEquals(seen.length, 4);
  await waitUntil(async () => (await server.monitor("/jsz"))?.consumers === 0);
});

Deno.test("unstorageDriver.watch continues after a reconnect, and when a listener throws", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = openStores(proxy.url);
  const errors: unknown[] = [];
  const driver = unstorageDriver(stores.kvBucket("items"), { onError: (error) => void errors.push(error) });
  const seen: string[] = [];
  await driver.watch((_event, key) => {
    seen.push(key);
    if (key === "a") throw new Error("of the listener");
  });
  await driver.setItem("a", "1");
  await waitUntil(() => seen.includes("a"));
  proxy.cut();
  await using others = openStores(server.url);
  await unstorageDriver(others.kvBucket("items")).setItem("b", "1");
  await waitUntil(() => seen.includes("b"));
  assertEquals(errors.map(String), ["Error: of the listener"]);
  await driver.dispose();
});

Deno.test("unstorageDriver.watch throws when the connection is closed before it is in force", async () => {
  await using opened = await openStorage();
  const { stores, bucket } = opened;
  await bucket.put("a", "1");
  const watch = unstorageDriver(bucket).watch(() => {});
  const refused = assertRejects(() => within(watch), JetStreamStoreError, "cannot be watched");
  await stores.close();
  assertEquals((await refused).code, "disconnected");
});

Deno.test("unstorageDriver throws without a connection, whatever is asked", async () => {
  await using stores = openStores(undefined);
  const storage = createStorage({ driver: unstorageDriver(stores.kvBucket("items")) });
  const calls = [
    () => storage.hasItem("a"),
    () => storage.getItem("a"),
    () => storage.getItemRaw("a"),
    () => storage.getItems(["a"]),
    () => storage.setItem("a", "1"),
    () => storage.setItems([{ key: "a", value: "1" }]),
    () => storage.setItemRaw("a", new Uint8Array(1)),
    () => storage.removeItem("a"),
    () => Promise.resolve(storage.getMeta("a")),
    () => storage.getKeys(),
    () => storage.clear(),
    () => storage.watch(() => {}),
  ];
  for (const call of calls) {
    const error = await assertRejects(() => within(call()), JetStreamStoreError);
    assertEquals(error.code, "disconnected", String(call));
  }
});

Deno.test("unstorageDriver refuses what is no bucket, and options that are wrong", () => {
  assertThrows(() => unstorageDriver({} as never), TypeError, "'bucket' must be a KvBucket");
  const bucket = openStores(undefined).kvBucket("items");
  assertThrows(() => unstorageDriver(bucket, { onError: 5 as never }), TypeError, "'onError' must be a function");
  assertThrows(() => unstorageDriver(bucket, { base: "x" } as never), TypeError, "base");
});
