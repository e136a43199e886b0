import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { JetStreamStoreError } from "../../src/errors.ts";
import type { ObjectBucketOptions } from "../../src/object/object_options.ts";
import { ObjectServer } from "./_object_server.ts";

Deno.test("ObjectBucket makes its stream as the official client does", async () => {
  await using server = await ObjectServer.start();
  await new Objm(server.nc).create("official");
  await server.bucket("ours").put("a", "x");
  const official = JSON.parse(JSON.stringify(await server.config("official")).replaceAll("official", "ours"));
  assertEquals(await server.config("ours"), official);
});

Deno.test("ObjectBucket makes its stream from its options, and returns them in its status", async () => {
  await using server = await ObjectServer.start();
  const options = {
    ttl: 5_000,
    storage: "memory",
    replicas: 1,
    description: "reports",
    metadata: { team: "checks" },
    maxBytes: 1_000_000,
  } as const;
  const bucket = server.bucket("made", options);
  await bucket.put("a", "x");
  const { max_age, duplicate_window } = await server.config("made");
  assertEquals([max_age, duplicate_window], [5_000_000_000, 5_000_000_000]);
  const status = await bucket.status();
  assert(status && Math.abs(status.created.getTime() - Date.now()) < 10_000 && status.bytes > 0);
  assertEquals(status, {
    ...options,
    bucket: "made",
    bytes: status.bytes,
    created: status.created,
    compression: false,
    sealed: false,
  });
  await server.bucket("packed", { compression: true }).put("a", "x");
  assertEquals((await server.bucket("packed").status())?.compression, true);
});

Deno.test("ObjectBucket takes a TTL that is no whole number, and a later handle finds it unchanged", async () => {
  await using server = await ObjectServer.start();
  for (const ttl of [86_400_000 / 7, 1_000.000_000_5]) {
    const name = `ttl_${Math.floor(ttl)}`;
    assert(await server.bucket(name, { ttl }).put("a", "x"));
    const { max_age } = await server.config(name);
    assertEquals(max_age, Math.round(ttl * 1_000_000));
    assert(await server.bucket(name, { ttl }).put("a", "y"));
  }
  assertEquals(server.log.filter((line) => line.includes("TTL")), []);
});

Deno.test("ObjectBucket is made once by many writers at the same time", async () => {
  await using server = await ObjectServer.start();
  const buckets = Array.from({ length: 5 }, (_, i) => server.bucket("shared", { description: `of ${i % 2}` }));
  const put = await Promise.all(buckets.map((bucket, i) => bucket.put(`object ${i}`, "x")));
  assert(put.every((info) => info !== null));
});

Deno.test("ObjectBucket changes what an option asks for and keeps all else of a bucket with odd settings", async () => {
  await using server = await ObjectServer.start();
  const odd = {
    name: "OBJ_odd",
    subjects: ["$O.odd.C.>", "$O.odd.M.>", "and.more"],
    description: "theirs",
    max_age: 3_600_000_000_000,
    duplicate_window: 60_000_000_000,
    max_msg_size: 500_000,
    max_consumers: 7,
    discard: "old",
    max_msgs: 10_000,
    allow_rollup_hdrs: true,
    allow_direct: false,
    metadata: { theirs: "1" },
  };
  await server.api("STREAM.CREATE.OBJ_odd", odd);
  const before = await server.config("odd");
  await server.bucket("odd").put("a", "x");
  assertEquals(await server.config("odd"), before);

  const bucket = server.bucket("odd", { ttl: 30_000, metadata: { ours: "2" }, storage: "memory" });
  await bucket.put("a", "x");
  assertEquals(await bucket.getText("a"), "x");
  assertEquals(await server.config("odd"), {
    ...before,
    max_age: 30_000_000_000,
    duplicate_window: 30_000_000_000,
    metadata: { theirs: "1", ours: "2" },
  });
  const log = server.log.join("\n");
  assertStringIncludes(log, 'The bucket "odd" has a TTL of 30000 ms from now on, it was 3600000 ms');
  assertStringIncludes(log, 'The bucket "odd" stays in file storage');
});

Deno.test("ObjectBucket sends no update that changes nothing", async () => {
  await using server = await ObjectServer.start();
  const options = { ttl: 5_000, description: "d", metadata: { a: "b" }, maxBytes: 1_000_000, compression: true };
  await server.bucket("same", options).put("a", "x");
  let updates = 0;
  const advisories = server.nc.subscribe("$JS.EVENT.ADVISORY.STREAM.UPDATED.OBJ_same", {
    callback: () => void updates++,
  });
  await server.nc.flush();
  await server.bucket("same", options).put("a", "y");
  await server.bucket("same").put("a", "z");
  await server.nc.flush();
  assertEquals(updates, 0);
  await server.bucket("same", { ttl: 6_000 }).put("a", "z");
  await server.nc.flush();
  assertEquals(updates, 1);
  advisories.unsubscribe();
});

Deno.test("ObjectBucket makes its stream again when it has gone", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("gone", { ttl: 60_000 });
  await bucket.put("a", "x");
  await server.api("STREAM.DELETE.OBJ_gone");
  assertEquals(await bucket.getText("a"), null);
  assertEquals(await bucket.delete("a"), false);
  assertEquals((await bucket.put("a", "y"))?.size, 1);
  assertEquals(await bucket.getText("a"), "y");
  assertEquals((await server.config("gone")).max_age, 60_000_000_000);
  assertEquals(await bucket.destroy(), true);
  assertEquals(await bucket.destroy(), false);
  assertEquals((await bucket.putStream("a", new Blob(["z"]).stream()))?.size, 1);
  assertEquals(await bucket.getText("a"), "z");
});

Deno.test("ObjectBucket refuses a stream of another kind", async () => {
  await using server = await ObjectServer.start();
  await server.api("STREAM.CREATE.OBJ_other", { name: "OBJ_other", subjects: ["other.>"] });
  const bucket = server.bucket("other");
  const calls = [() => bucket.put("a", "x"), () => bucket.get("a"), () => bucket.status(), () => bucket.destroy()];
  for (const call of calls) {
    const error = await assertRejects(call, JetStreamStoreError, "The stream OBJ_other is");
    assertEquals(error.code, "wrong_kind");
  }
});

Deno.test("ObjectBucket says so when the bucket is sealed, and still reads it", async () => {
  await using server = await ObjectServer.start();
  const official = await new Objm(server.nc).create("sealed");
  const bucket = server.bucket("sealed", { description: "new" });
  await official.putBlob({ name: "a" }, new TextEncoder().encode("x"));
  await official.seal();
  const calls = [
    () => bucket.put("a", "y"),
    () => bucket.put("a", "y".repeat(200_000)),
    () => bucket.delete("a"),
    () => bucket.putStream("a", new Blob(["y"]).stream()),
  ];
  for (const call of calls) {
    const error = await assertRejects(call, JetStreamStoreError, 'The bucket "sealed" is sealed');
    assertEquals(error.code, "server");
  }
  assertEquals(await bucket.getText("a"), "x");
  assertEquals((await bucket.status())?.sealed, true);
});

Deno.test("ObjectBucket checks its name and options, also without a connection", async () => {
  await using server = await ObjectServer.start({}, { servers: undefined });
  assertThrows(() => server.bucket(""), RangeError, "must be 1 to 64 of A-Z a-z 0-9 _ -");
  assertThrows(() => server.bucket("a.b"), RangeError, 'current value is "a.b"');
  assertThrows(() => server.bucket(1 as unknown as string), TypeError, "its name must be a string");
  const wrong: [ObjectBucketOptions, typeof TypeError | typeof RangeError, string][] = [
    [{ ttl: 50 }, RangeError, "'ttl' must be ≥ 100 ms: current value is 50"],
    [{ replicas: 6 }, RangeError, "'replicas' must be a whole number from 1 to 5"],
    [{ maxBytes: 0 }, RangeError, "'maxBytes' must be"],
    [{ maxChunkSize: 1.5 }, RangeError, "'maxChunkSize' must be"],
    [{ storage: "tape" as "file" }, RangeError, `'storage' must be "file" or "memory": current value is "tape"`],
    [{ compression: 1 as unknown as boolean }, TypeError, "'compression' must be true or false"],
    [{ description: 1 as unknown as string }, TypeError, "'description' must be"],
    [{ metadata: { a: 1 as unknown as string } }, TypeError, "'metadata.a' must be"],
  ];
  for (const [options, type, message] of wrong) assertThrows(() => server.bucket("b", options), type, message);
});
