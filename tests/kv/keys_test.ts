import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { startNatsServer } from "../../src/testing/mod.ts";
import { decodeKey, encodeKey } from "../../src/wire/tokens.ts";
import { KvStores } from "../_support/kv_stores.ts";

/** Texts as they come, and texts rich in what matters in subjects. */
const keys = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1 }),
  fc.string({
    unit: fc.constantFrom(".", "*", ">", "=", "a", "Z", "0", "_", "-", "/", " ", "\0", "\n", "ü", "😀"),
    minLength: 1,
  }),
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
).filter((key) => key.isWellFormed());

Deno.test("encodeKey is reversible", () => {
  fc.assert(fc.property(keys, (key) => assertEquals(decodeKey(encodeKey(key)), key)), { numRuns: 2_000 });
});

Deno.test("decodeKey leaves tokens as they are that encodeKey does not make", () => {
  for (const token of ["=a", "==", "=Zm9v", "=PWE", "=*"]) assertEquals(decodeKey(`a.${token}.b`), `a.${token}.b`);
});

Deno.test("encodeKey gives two keys two subjects", () => {
  fc.assert(fc.property(keys, keys, (a, b) => assertEquals(encodeKey(a) === encodeKey(b), a === b)), {
    numRuns: 2_000,
  });
});

Deno.test("encodeKey makes subjects that every NATS client takes as a key, without wildcards or empty tokens", () => {
  fc.assert(
    fc.property(keys, (key) => {
      const subject = encodeKey(key);
      assert(/^[-/_=A-Za-z0-9]+(\.[-/_=A-Za-z0-9]+)*$/.test(subject), subject);
      assertEquals(subject.split(".").length, key.split(".").length);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("encodeKey leaves plain keys as they are", () => {
  const token = fc.stringMatching(/^[-/_A-Za-z0-9][-/_=A-Za-z0-9]*$/);
  const plain = fc.array(token, { minLength: 1 }).map((tokens) => tokens.join("."));
  fc.assert(fc.property(plain, (key) => assertEquals(encodeKey(key), key)));
});

Deno.test("KvBucket keeps any non-empty string as a key apart from all others", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("any");
  const all = [
    ...new Set([
      ...fc.sample(keys, 300),
      ".",
      "..",
      "*",
      ">",
      "a.*",
      "a.>",
      "=",
      "==",
      "=YQ",
      "a b",
      "k".repeat(2_900),
    ]),
  ];
  for (const key of all) assertNotEquals(await bucket.put(key, `value of ${key}`), null);
  for (const key of all) assertEquals((await bucket.get(key))?.text(), `value of ${key}`);
  assertEquals((await bucket.getMany(all))?.size, all.length);
  assertEquals((await Array.fromAsync(bucket.keys())).sort(), all.sort());
  for (const key of all) assertEquals(await bucket.delete(key), true);
  assertEquals(await Array.fromAsync(bucket.keys()), []);
});

Deno.test("KvBucket throws for keys that cannot be, also without a connection", async () => {
  await using stores = new KvStores();
  const bucket = stores.kvBucket("any");
  await assertRejects(() => bucket.get(""), TypeError, "Cannot read the value as 'key' must not be empty");
  await assertRejects(
    () => bucket.put(7 as unknown as string, "v"),
    TypeError,
    "'key' must be a string: current value is of type number",
  );
  await assertRejects(() => bucket.delete("\ud800"), TypeError, "'key' must be well-formed");
  await assertRejects(() => bucket.purge("k".repeat(3_000)), RangeError, "'key' must fit a subject of 3000 bytes");
  await assertRejects(() => bucket.getMany(["a", ""]), TypeError, "Cannot read the values as 'key' must not be empty");
  assertThrows(() => bucket.history(""), TypeError, "Cannot read the history as 'key' must not be empty");
  assertThrows(() => bucket.keys("a.>.b"), RangeError, "'filter' must have '>' at its end only");
  assertThrows(() => bucket.watch(""), TypeError, "Cannot watch the keys as 'filter' must not be empty");
});

/** Tokens of other clients: what ADR-8 allows, and what only the server does. */
const FOREIGN = ["=a", "=", "==", "=Zm9v", "=PWE", "a=b", "=not@ours", "foo:bar", "é", "=*", "a*b", "{}"];

Deno.test("KvBucket reads each key of another client that it lists", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("any");
  await bucket.put("plain", "value of plain");
  const tokens = [...FOREIGN, ...FOREIGN.map((token) => `a.${token}`), ...FOREIGN.map((token) => `${token}.=Yg`)];
  for (const token of tokens) await stores.publish(`$KV.any.${token}`, `value of ${token}`);
  const entries = await Array.fromAsync(bucket.entries());
  assertEquals(new Set(entries.map(({ key }) => key)).size, tokens.length + 1);
  const keys = await Array.fromAsync(bucket.keys());
  const many = await bucket.getMany(keys);
  assertEquals(many?.size, keys.length);
  const cached = stores.kvBucket("any", { cache: true });
  for (const { key, revision } of entries) {
    assertEquals((await bucket.get(key))?.revision, revision, key);
    assertEquals(many?.get(key)?.revision, revision, key);
    assertEquals((await cached.get(key))?.revision, revision, key);
  }
  for (const { key, revision } of entries) assertEquals((await cached.get(key))?.revision, revision, key);
});

Deno.test("KvBucket writes and deletes the keys of other clients that ADR-8 allows", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("any");
  await bucket.put("plain", "v");
  for (const token of ["=a", "==", "=b.c"]) {
    const first = await stores.publish(`$KV.any.${token}`, "theirs");
    assertEquals((await bucket.get(token))?.text(), "theirs");
    assertEquals(await bucket.update(token, "ours", first), first + 1);
    assertEquals((await Array.fromAsync(bucket.keys())).filter((key) => key === token).length, 1);
    await bucket.delete(token);
    assertEquals(await bucket.get(token), null);
  }
  assertEquals(await Array.fromAsync(bucket.keys()), ["plain"]);
});

Deno.test("KvBucket reads a listed key of another client that ADR-8 does not allow, and what is written over it", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("any");
  await bucket.put("plain", "v");
  await stores.publish("$KV.any.a.=not@ours", "v");
  assertEquals((await bucket.get("a.=not@ours"))?.text(), "v");
  assertEquals(await Array.fromAsync(bucket.keys()), ["plain", "a.=not@ours"]);
  await bucket.put("a.=not@ours", "new");
  assertEquals((await bucket.get("a.=not@ours"))?.text(), "new");
  await bucket.delete("a.=not@ours");
  assertEquals(await bucket.get("a.=not@ours"), null);
});
