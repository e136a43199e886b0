import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import type { KvBucket, KvEntry, KvWatchOptions } from "../../mod.ts";
import { KvStores } from "../_support/kv_stores.ts";

/** What a watch gives of what is there. */
async function initial(bucket: KvBucket, filter: string | string[], options: KvWatchOptions): Promise<KvEntry[]> {
  const stopping = new AbortController();
  const entries: KvEntry[] = [];
  const initialized = () => stopping.abort();
  for await (const entry of bucket.watch(filter, { ...options, initialized, signal: stopping.signal })) {
    entries.push(entry);
  }
  return entries;
}

const keysOf = (entries: KvEntry[]) => entries.map(({ key }) => key);

Deno.test("KvBucket.watch follows several filters, each key once", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("filters");
  for (const key of ["a.1", "a.2.x", "b.1", "c", "https://d"]) await bucket.put(key, "v");
  assertEquals(keysOf(await initial(bucket, ["a.*", "b.>"], {})), ["a.1", "b.1"]);
  assertEquals(keysOf(await initial(bucket, ["a.>", "a.*", "a.1", "c", "c"], {})), ["a.1", "a.2.x", "c"]);
  assertEquals(keysOf(await initial(bucket, ["a.*", "a.>"], {})), ["a.1", "a.2.x"]);
  assertEquals(keysOf(await initial(bucket, ["c", ">"], {})).length, 5);
  assertEquals(keysOf(await initial(bucket, ["https://d"], {})), ["https://d"]);
  const stopping = new AbortController();
  const changes: string[] = [];
  const options = { updatesOnly: true, signal: stopping.signal, initialized: () => void writeAll() };
  const writeAll = async () => {
    for (const key of ["c", "a.1", "b.2"]) await bucket.put(key, "w");
  };
  for await (const { key } of bucket.watch(["a.*", "b.>"], options)) if (changes.push(key) === 2) stopping.abort();
  assertEquals(changes, ["a.1", "b.2"]);
});

Deno.test("KvBucket.watch resumes from a revision, and continues with new entries", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("resumed", { history: 5 });
  for (let i = 1; i <= 6; i++) await bucket.put(i % 2 ? "odd" : "even", `${i}`);
  const revisions = async (resumeFrom: number) =>
    (await initial(bucket, ">", { resumeFrom })).map(({ revision }) => revision);
  assertEquals(await revisions(4), [4, 5, 6]);
  assertEquals(await revisions(7), []);
  assertEquals(await revisions(1), [1, 2, 3, 4, 5, 6]);
  const stopping = new AbortController();
  const given: number[] = [];
  const options = { resumeFrom: 6, signal: stopping.signal, initialized: () => void bucket.put("odd", "7") };
  for await (const { revision } of bucket.watch("*", options)) if (given.push(revision) === 2) stopping.abort();
  assertEquals(given, [6, 7]);
});

Deno.test("KvBucket.watch gives entries without their values where only the keys are wanted", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("keys");
  await bucket.put("a", "a long value");
  await bucket.put("b", "v");
  await bucket.delete("b");
  const entries = await initial(bucket, ">", { metaOnly: true });
  assertEquals(entries.map(({ key, operation, revision }) => [key, operation, revision]), [
    ["a", "put", 1],
    ["b", "delete", 3],
  ]);
  assertEquals(entries[0].value.length, 0);
});

Deno.test("KvBucket.watch throws for options that cannot be", async () => {
  await using stores = new KvStores();
  const bucket = stores.kvBucket("none");
  assertThrows(() => bucket.watch([]), RangeError, "'filter' must have at least one filter");
  assertThrows(() => bucket.watch(["a", 5 as never]), TypeError, "'filter' must be a string");
  assertThrows(() => bucket.watch(">", { resumeFrom: 0 }), RangeError, "'resumeFrom' must be a whole number");
  assertThrows(() => bucket.watch(">", { resumeFrom: 1, updatesOnly: true }), TypeError, "'resumeFrom' must not stand");
  assertThrows(() => bucket.watch(">", { metaOnly: 1 as never }), TypeError, "'metaOnly' must be true or false");
  await assertRejects(() => Array.fromAsync(bucket.watch(["a", "b"])), Error, "connection");
});
