import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { KeyvStore } from "../../src/adapters/keyv.ts";
import { JetStreamStoreError } from "../../src/errors.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { openStores } from "../_support/open_stores.ts";
import Keyv6 from "../_support/packages/keyv.ts";
import Keyv5 from "../_support/packages/keyv5.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** What is called here is the same in both. */
const VERSIONS = [[5, Keyv5 as unknown as typeof Keyv6], [6, Keyv6]] as const;

for (const [version, Keyv] of VERSIONS) {
  Deno.test(`KeyvStore keeps values of all kinds in namespaces of their own with Keyv ${version}`, async () => {
    await using server = await startNatsServer();
    await using stores = openStores(server.url);
    const bucket = stores.kvBucket("cache");
    const users = new Keyv({ store: new KeyvStore(bucket), namespace: "users" });
    const others = new Keyv({ store: new KeyvStore(bucket), namespace: "users2" });
    const values = { text: "ü 🙂", number: 0, no: false, list: [1, { a: null }], empty: "" };
    for (const [key, value] of Object.entries(values)) assertEquals(await users.set(`a.b:${key}`, value), true);
    await others.set("a.b:text", "others");

    const keys = Object.keys(values).map((key) => `a.b:${key}`);
    assertEquals(await users.get(keys), Object.values(values));
    assertEquals(await users.get<unknown>("missing"), undefined);
    assertEquals(await users.has(keys[0]), true);
    assertEquals(await users.has("missing"), false);
    assertEquals(await users.delete(keys[0]), true);
    assertEquals(await users.delete(keys[0]), false);
    await users.clear();
    assertEquals(await users.get(keys), keys.map(() => undefined));
    assertEquals(await others.get<unknown>("a.b:text"), "others");
  });

  testFrom("2.11")(`KeyvStore lets the server remove what has expired with Keyv ${version}`, async () => {
    await using server = await startNatsServer();
    await using stores = openStores(server.url);
    const bucket = stores.kvBucket("cache");
    const keyv = new Keyv({ store: new KeyvStore(bucket), namespace: "n" });
    await keyv.set("short", 1, 1);
    await keyv.set("long", 2, 60_000);
    await keyv.set("kept", 3);
    await waitUntil(async () => await keyv.get<unknown>("short") === undefined);
    await waitUntil(async () => (await Array.fromAsync(bucket.keys())).length === 2);
    assertEquals(await keyv.get(["short", "long", "kept"]), [undefined, 2, 3]);
  });

  Deno.test(`KeyvStore reports each failure as one error event without a connection with Keyv ${version}`, async () => {
    await using stores = openStores(undefined);
    const keyv = new Keyv({ store: new KeyvStore(stores.kvBucket("cache")) });
    const errors: unknown[] = [];
    keyv.on("error", (error: unknown) => void errors.push(error));
    assertEquals(await keyv.get<unknown>("a"), undefined);
    assertEquals(await keyv.set("a", 1), false);
    assertEquals(await keyv.delete("a"), false);
    await keyv.clear();
    for (const error of errors) assertInstanceOf(error, JetStreamStoreError);
    assertEquals(errors.map((error) => (error as JetStreamStoreError).code), Array(4).fill("disconnected"));
  });
}

Deno.test("KeyvStore throws without a connection, whatever is asked", async () => {
  await using stores = openStores(undefined);
  const store = new KeyvStore(stores.kvBucket("cache"));
  const calls = [
    () => store.get("a"),
    () => store.getMany(["a"]),
    () => store.set("a", "1"),
    () => store.setMany([{ key: "a", value: "1" }]),
    () => store.delete("a"),
    () => store.clear(),
    () => store.iterator().next(),
  ];
  for (const call of calls) {
    const error = await assertRejects(call, JetStreamStoreError);
    assertEquals(error.code, "disconnected", String(call));
  }
});

Deno.test("KeyvStore.get throws when the connection breaks, in place of telling of no value", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const store = new KeyvStore(stores.kvBucket("cache"));
  await store.set("a", "1");
  assertEquals(await store.get("a"), "1");
  assertEquals(await store.get("b"), undefined);
  await server.stop();
  assertEquals((await assertRejects(() => store.get("a"), JetStreamStoreError)).code, "disconnected");
  assertEquals((await assertRejects(() => store.get("b"), JetStreamStoreError)).code, "disconnected");
});

Deno.test("KeyvStore reads a bucket that does not exist as empty, and does not make it", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const store = new KeyvStore(stores.kvBucket("cache"));
  assertEquals(await store.get("a"), undefined);
  assertEquals(await store.getMany(["a", "b"]), [undefined, undefined]);
  assertEquals(await store.delete("a"), false);
  await store.clear();
  assertEquals(await Array.fromAsync(store.iterator("n")), []);
  assertEquals(await Array.fromAsync(stores.kvBuckets()), []);
});

Deno.test("KeyvStore clears a namespace of many keys, and iterates over it alone", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const bucket = stores.kvBucket("cache");
  const store = new KeyvStore(bucket);
  const keys = Array.from({ length: 600 }, (_, i) => `n:${i}.x`);
  assertEquals(await store.setMany(keys.map((key) => ({ key, value: key }))), keys.map(() => true));
  // Wildcards and the like of a namespace are no filters.
  for (const namespace of ["*", ">", "n.x", "nn"]) await store.set(`${namespace}:a`, "other");
  const listed = await Array.fromAsync(store.iterator("n"));
  assertEquals(new Map(listed), new Map(keys.map((key) => [key, key])));
  assertEquals(await Array.fromAsync(store.iterator("*")), [["*:a", "other"]]);
  assertEquals(await Array.fromAsync(store.iterator(">")), [[">:a", "other"]]);
  store.namespace = "n";
  await store.clear();
  const left = await Array.fromAsync(store.iterator());
  assertEquals(left.map(([key]) => key).sort(), ["*:a", ">:a", "n.x:a", "nn:a"]);
});

Deno.test("KeyvStore is refused what is no bucket", () => {
  assertThrows(() => new KeyvStore({} as never), TypeError, "'bucket' must be a KvBucket");
});
