import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import type { ObjectInfo } from "../../src/object/format/object_info.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { ObjectServer, randomBytes } from "./_object_server.ts";

Deno.test("ObjectBucket.list gives each object as it is, without deleted ones, and leaves no consumer", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("listed");
  assertEquals(await Array.fromAsync(bucket.list()), []);
  const stored: ObjectInfo[] = [];
  for (let i = 0; i < 300; i++) stored.push((await bucket.put(`object ${i}`, "x".repeat(i)))!);
  await bucket.delete("object 7");
  const list = bucket.list();
  for (let time = 0; time < 2; time++) {
    const listed = await Array.fromAsync(list);
    assertEquals(listed.map(({ name }) => name), stored.map(({ name }) => name).filter((name) => name !== "object 7"));
    assertEquals({ ...listed[5], mtime: 0 }, { ...stored[5], mtime: 0 });
    assert(listed.every(({ mtime }) => Math.abs(mtime.getTime() - Date.now()) < 20_000));
  }
  for await (const { name } of list) if (name === "object 3") break;
  await server.assertClean("listed");
});

Deno.test("ObjectBucket.watch gives what is there, then each change with deletions, and leaves no consumer", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("watched");
  await bucket.put("a", "1");
  await bucket.put("b", randomBytes(200_000));
  const seen: string[] = [];
  for await (const { name, size, deleted } of bucket.watch()) {
    seen.push(deleted ? `no ${name}` : `${name} ${size}`);
    if (seen.length === 2) {
      await bucket.put("a", "11");
      await bucket.delete("b");
      await bucket.put("c", "");
    }
    if (seen.length === 5) break;
  }
  assertEquals(seen, ["a 1", "b 200000", "a 2", "no b", "c 0"]);
  await server.assertClean("watched");
});

Deno.test("ObjectBucket.watch gives each object, however large their infos are", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("described");
  const stored: string[] = [];
  for (let i = 0; i < 100; i++) {
    stored.push(`object ${i}`);
    await bucket.put(stored[i], "v", { metadata: { text: "x".repeat(60_000) } });
  }
  const abort = new AbortController();
  const seen: string[] = [];
  const initialized = () => abort.abort();
  for await (const { name } of bucket.watch({ signal: abort.signal, initialized })) seen.push(name);
  assertEquals(seen, stored);
  await server.assertClean("described");
});

Deno.test("ObjectBucket.watch leaves out what its options say, and ends with its signal", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("options");
  await bucket.put("old", "x");
  const abort = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { name } of bucket.watch({ updatesOnly: true, ignoreDeletes: true, signal: abort.signal })) {
      seen.push(name);
      if (name === "last") abort.abort();
    }
  })();
  await waitUntil(async () => (await server.contents("options")).consumers === 1);
  await bucket.put("new", "x");
  // Only the newest info of an object is stored: what is replaced at once may never be sent.
  await waitUntil(() => seen.length === 1);
  await bucket.delete("new");
  await bucket.put("last", "x");
  await watching;
  assertEquals(seen, ["new", "last"]);
  assertEquals(await Array.fromAsync(bucket.watch({ signal: AbortSignal.abort() })), []);
  await server.assertClean("options");
});

Deno.test("ObjectBucket.watch resumes after a reconnect, and when the bucket is made again", async () => {
  await using server = await ObjectServer.start();
  await using proxy = new Proxy(server.server.url);
  await using other = new ObjectServer.Stores(proxy.url);
  const bucket = server.bucket("goes-on");
  await bucket.put("first", "x");
  const abort = new AbortController();
  const seen = new Set<string>();
  const watching = (async () => {
    for await (const { name } of other.objectBucket("goes-on").watch({ signal: abort.signal })) seen.add(name);
  })();
  await waitUntil(() => seen.has("first"));
  proxy.cut();
  await bucket.put("meanwhile", "x");
  await waitUntil(() => seen.has("meanwhile"));
  await bucket.destroy();
  await bucket.put("again", "x");
  await waitUntil(() => seen.has("again"));
  abort.abort();
  await watching;
  await server.assertClean("goes-on");
});

Deno.test("ObjectBucket.watch waits for a bucket that is not there yet, and throws for a stream of another kind", async () => {
  await using server = await ObjectServer.start();
  const watching = (async () => {
    for await (const { name } of server.bucket("later").watch()) return name;
  })();
  await server.bucket("later").put("a", "x");
  assertEquals(await watching, "a");
  await server.api("STREAM.CREATE.OBJ_other", { name: "OBJ_other", subjects: ["other.>", "$O.other.M.>"] });
  const error = await assertRejects(() => Array.fromAsync(server.bucket("other").watch()), JetStreamStoreError);
  assertEquals(error.code, "wrong_kind");
});
