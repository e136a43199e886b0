import { assert, assertEquals, assertGreater, assertRejects, assertThrows } from "@std/assert";
import type { StreamInfo } from "../../src/wire/streams.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { waitUntil } from "../_support/wait_until.ts";

Deno.test("KvBucket.get gives what put stored, as bytes, text and JSON, with its revision and time", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("values");
  const before = Date.now();
  assertEquals(await bucket.put("a", '{"n":1,"text":"ü😀"}'), 1);
  assertEquals(await bucket.put("b", new Uint8Array([0, 255, 10, 13])), 2);
  assertEquals(await bucket.put("a", '{"n":2}'), 3);
  const a = await bucket.get("a");
  assert(a);
  assertEquals([a.key, a.text(), a.revision, a.operation], ["a", '{"n":2}', 3, "put"]);
  assertEquals(a.json<{ n: number }>().n, 2);
  assert(Math.abs(a.created.getTime() - before) < 10_000);
  const b = await bucket.get("b");
  assert(b);
  assertEquals(b.value, new Uint8Array([0, 255, 10, 13]));
  // Its type is that of a body, too.
  assertEquals(await new Response(b.value).bytes(), b.value);
  assertThrows(() => b.json(), SyntaxError);
});

Deno.test("KvBucket distinguishes an empty value from none", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("values");
  await bucket.put("empty", "");
  await bucket.put("bytes", new Uint8Array());
  assertEquals((await bucket.get("empty"))?.text(), "");
  assertEquals((await bucket.get("bytes"))?.value.length, 0);
  assertEquals(await bucket.get("none"), null);
  assertEquals([...(await bucket.getMany(["empty", "none"]))!.keys()], ["empty"]);
});

Deno.test("KvBucket.get returns null for a deleted, a purged and an expired key", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("values", { ttl: 500 });
  for (const key of ["deleted", "purged"]) await bucket.put(key, "v");
  assertEquals(await bucket.delete("deleted"), true);
  assertEquals(await bucket.purge("purged"), true);
  assertEquals(await bucket.get("deleted"), null);
  assertEquals(await bucket.get("purged"), null);
  // On a busy machine it may have expired before it is read.
  await waitUntil(async () => {
    assert(await bucket.put("expired", "v"));
    return (await bucket.get("expired"))?.text() === "v";
  });
  await waitUntil(async () => await bucket.get("expired") === null);
});

Deno.test("KvEntry.value is a copy of its own, which its caller may change or transfer", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("b");
  await bucket.put("k", "value");
  const entry = (await bucket.get("k"))!;
  const bytes = entry.value;
  assertEquals(bytes.buffer.byteLength, "value".length);
  bytes.fill(0);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  assertEquals([entry.text(), new TextDecoder().decode(entry.value)], ["value", "value"]);
});

Deno.test("KvBucket reads markers of the server's own as null", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await stores.createStream({
    name: "KV_marked",
    subjects: ["$KV.marked.>"],
    max_msgs_per_subject: 1,
    allow_direct: true,
    allow_rollup_hdrs: true,
    allow_msg_ttl: true,
    subject_delete_marker_ttl: 60e9,
  });
  const bucket = stores.kvBucket("marked");
  const operations: string[] = [];
  const initialized = () => void bucket.put("k", "v", { ttl: 3_000 });
  for await (const { operation } of bucket.watch(">", { updatesOnly: true, initialized })) {
    if (operations.push(operation) === 2) break;
  }
  assertEquals(operations, ["put", "purge"]);
  assertEquals(await bucket.get("k"), null);
  assertEquals((await bucket.getMany(["k"]))?.size, 0);
  assertEquals(await Array.fromAsync(bucket.keys()), []);
  assertGreater(await bucket.create("k", "again") || 0, 2);
});

Deno.test("KvBucket makes no bucket by reading or deleting", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("absent");
  assertEquals(await bucket.get("k"), null);
  assertEquals(await bucket.getMany(["k", "l"]), new Map());
  assertEquals(await Array.fromAsync(bucket.keys()), []);
  assertEquals(await Array.fromAsync(bucket.entries()), []);
  assertEquals(await Array.fromAsync(bucket.history("k")), []);
  assertEquals(await bucket.status(), null);
  assertEquals(await bucket.delete("k"), true);
  assertEquals(await bucket.purge("k"), true);
  assertEquals(await bucket.destroy(), false);
  assertEquals((await stores.api<{ total: number }>("STREAM.NAMES")).total, 0);
});

Deno.test("KvBucket.put makes the bucket once, also when many write at the same time", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("fresh");
  const revisions = await Promise.all(Array.from({ length: 200 }, (_, i) => bucket.put(`k${i}`, "v")));
  assertEquals(new Set(revisions).size, 200);
  const api = await server.monitor("/jsz") as { api: { total: number } };
  // Three looks and creations at most, not one for each write.
  assert(api.api.total < 10, `${api.api.total} calls of the API`);
});

Deno.test("KvBucket.put makes the bucket again when it has gone", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("fresh", { history: 2 });
  await bucket.put("k", "1");
  await bucket.put("k", "2");
  await stores.api("STREAM.DELETE.KV_fresh");
  assertEquals(await bucket.get("k"), null);
  assertEquals(await bucket.put("k", "3"), 1);
  assertEquals((await stores.config("fresh")).max_msgs_per_subject, 2);
});

Deno.test("KvBucket.put throws for values that cannot be", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("values");
  await assertRejects(
    () => bucket.put("k", { a: 1 } as unknown as string),
    TypeError,
    "'value' must be a string or a Uint8Array",
  );
  await assertRejects(() => bucket.put("k", null as unknown as string), TypeError, "current value is null");
  await assertRejects(() => bucket.put("k", "\udc00"), TypeError, "'value' must be well-formed Unicode");
  await assertRejects(() => bucket.put("k", new Uint8Array(1_100_000)), RangeError, "must be ≤ 1048576 bytes");
  assertEquals(await bucket.get("k"), null);
});

Deno.test("KvBucket.put throws when the bucket is full, and keeps what is there", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("small", { maxBytes: 10_000, maxValueSize: 5_000 });
  await bucket.put("a", "v");
  await bucket.put("b", "x".repeat(5_000));
  const full = await assertRejects(() => bucket.put("c", "x".repeat(5_000)));
  assertEquals([full.name, (full as { code?: string }).code], ["JetStreamStoreError", "limits"]);
  const large = await assertRejects(() => bucket.put("c", "x".repeat(5_001)));
  assertEquals((large as { code?: string }).code, "limits");
  assertEquals((await bucket.get("a"))?.text(), "v");
});

Deno.test("KvBucket works where direct get is off", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await stores.createStream({
    name: "KV_slow",
    subjects: ["$KV.slow.>"],
    max_msgs_per_subject: 1,
    allow_direct: false,
    allow_rollup_hdrs: true,
  });
  const bucket = stores.kvBucket("slow");
  for (let i = 0; i < 300; i++) await bucket.put(`k${i}`, `${i}`);
  await bucket.delete("k1");
  assertEquals((await bucket.get("k7"))?.text(), "7");
  assertEquals((await bucket.get("k7"))?.revision, 8);
  assertEquals(await bucket.get("k1"), null);
  const many = await bucket.getMany(Array.from({ length: 301 }, (_, i) => `k${i}`));
  assertEquals(many?.size, 299);
  assertEquals(many?.get("k299")?.text(), "299");
  assertEquals(await bucket.create("k1", "new"), 302);
  assertEquals((await stores.config("slow")).allow_direct, false);
});

Deno.test("KvBucket.status returns the state, destroy removes the bucket", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("full", {
    ttl: 60_000,
    history: 4,
    storage: "memory",
    description: "all of it",
    metadata: { team: "checks" },
    maxBytes: 1_000_000,
    maxValueSize: 1_000,
    compression: true,
  });
  await bucket.put("k", "v");
  await bucket.put("k", "w");
  const status = await bucket.status();
  assert(status);
  const { bytes, created, ...rest } = status;
  assertGreater(bytes, 0);
  assert(Math.abs(created.getTime() - Date.now()) < 10_000);
  assertEquals(rest, {
    bucket: "full",
    values: 2,
    ttl: 60_000,
    history: 4,
    storage: "memory",
    replicas: 1,
    valueTtl: false,
    compression: true,
    sealed: false,
    maxBytes: 1_000_000,
    maxValueSize: 1_000,
    description: "all of it",
    metadata: { team: "checks" },
  });
  assertEquals(await bucket.destroy(), true);
  assertEquals(await bucket.destroy(), false);
  assertEquals(await bucket.status(), null);
  assertEquals((await stores.api<StreamInfo & { total: number }>("STREAM.NAMES")).total, 0);
});

Deno.test("KvBucket.get reads a revision that is kept, and null where it is a deletion, gone, or another key's", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("revisions", { history: 2 });
  assertEquals(await bucket.get("k", { revision: 1 }), null);
  for (const value of ["1", "2", "3"]) await bucket.put("k", value);
  await bucket.put("other", "4");
  const revisions = await Promise.all([1, 2, 3, 4, 5].map((revision) => bucket.get("k", { revision })));
  assertEquals(revisions.map((entry) => entry?.text()), [undefined, "2", "3", undefined, undefined]);
  assertEquals(revisions[1]?.revision, 2);
  await bucket.delete("k");
  assertEquals([await bucket.get("k", { revision: 5 }), (await bucket.get("k", { revision: 3 }))?.text()], [null, "3"]);
});
