import { headers } from "@nats-io/nats-core";
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { waitUntil } from "../_support/wait_until.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

Deno.test("ObjectBucket.get gives what put stored, whatever its size", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("sizes");
  for (const size of [0, 1, 1_000, 65_536, 131_071, 131_072, 131_073, 5 * 1_048_576]) {
    const data = randomBytes(size);
    const info = await bucket.put(`size ${size}`, data);
    assertEquals([info?.size, info?.chunks], [size, Math.ceil(size / 131_072)]);
    const got = await bucket.get(`size ${size}`);
    assertBytes(got, data);
    assertEquals(Object.getPrototypeOf(got), Uint8Array.prototype);
  }
  await server.assertClean("sizes");
});

Deno.test("ObjectBucket.getText gives the text that put stored, to the last character", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("texts");
  for (const text of ["", '{"status":"up"}', "\ufeffa byte order mark", "ä€😀\0\r\n", "x".repeat(200_000)]) {
    await bucket.put("text", text);
    assertEquals(await bucket.getText("text"), text);
  }
});

Deno.test("ObjectBucket.get and getStream give what a Response takes", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("bodies");
  await bucket.put("page", "hello");
  assertEquals(await new Response(await bucket.get("page")).text(), "hello");
  assertEquals(await new Response(await bucket.getStream("page")).text(), "hello");
});

Deno.test("ObjectBucket.info gives what put returned, with the server's time", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("info");
  const put = await bucket.put("report", "hello", {
    description: "a greeting",
    headers: { "Content-Type": "text/plain", Accept: ["a", "b"] },
    metadata: { owner: "me" },
  });
  const info = await bucket.info("report");
  assert(put && info);
  assertEquals(put, {
    name: "report",
    bucket: "info",
    nuid: put.nuid,
    size: 5,
    chunks: 1,
    digest: "SHA-256=LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    mtime: put.mtime,
    description: "a greeting",
    headers: { "Content-Type": ["text/plain"], Accept: ["a", "b"] },
    metadata: { owner: "me" },
  });
  assertEquals({ ...info, mtime: put.mtime }, put);
  assert(Math.abs(info.mtime.getTime() - put.mtime.getTime()) < 5_000);
});

Deno.test("ObjectBucket.put replaces an object as a whole and leaves no chunks of the old one", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("replace");
  const first = await bucket.put("object", randomBytes(300_000), { description: "old" });
  const second = await bucket.put("object", "small");
  assertNotEquals(first?.nuid, second?.nuid);
  assertEquals(await bucket.getText("object"), "small");
  assertEquals((await bucket.info("object"))?.description, undefined);
  const large = randomBytes(400_000);
  await bucket.put("object", large);
  assertBytes(await bucket.get("object"), large);
  await bucket.put("object", "");
  assertEquals(await bucket.getText("object"), "");
  await server.assertClean("replace");
});

Deno.test("ObjectBucket.put confirms each of many versions of one object that are stored at the same time", async () => {
  await using server = await ObjectServer.start({}, { timeout: 60_000 });
  const bucket = server.bucket("many");
  const put = await Promise.all(Array.from({ length: 500 }, (_, n) => bucket.put("object", `version ${n}`)));
  assertEquals(put.filter((info) => info === null).length, 0);
  assertEquals(await bucket.getText("object"), "version 499");
  await server.assertClean("many");
});

Deno.test("ObjectBucket.put removes what a client that does not guard its writes has left of the version before", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("unguarded");
  const { mtime: _, ...info } = (await bucket.put("object", "ours"))!;
  // As a client does that has read the info of the version before ours.
  await server.nc.request("$O.unguarded.C.theirs", "ours", { timeout: 10_000 });
  const rollup = headers();
  rollup.set("Nats-Rollup", "sub");
  await server.nc.request(`$O.unguarded.M.${btoa("object")}`, JSON.stringify({ ...info, nuid: "theirs" }), {
    headers: rollup,
    timeout: 1_000,
  });
  assertEquals((await bucket.info("object"))?.nuid, "theirs");
  assertEquals((await server.contents("unguarded")).orphans, [info.nuid]);
  await bucket.put("object", "ours again");
  await server.assertClean("unguarded");
});

Deno.test("ObjectBucket.put keeps the chunks to the chunk size of the call, of the bucket, and of the server", async () => {
  await using server = await ObjectServer.start({ config: "max_payload: 100000" });
  const bucket = server.bucket("chunks", { maxChunkSize: 1_000 });
  const data = randomBytes(250_001);
  assertEquals((await bucket.put("bucket's", data))?.chunks, 251);
  assertEquals((await bucket.put("call's", data, { chunkSize: 50_000 }))?.chunks, 6);
  assertEquals((await bucket.put("server's", data, { chunkSize: 200_000 }))?.chunks, 3);
  for (const name of ["bucket's", "call's", "server's"]) assertBytes(await bucket.get(name), data);
});

Deno.test("ObjectBucket.get returns null for what was never there, is deleted, or has expired", async () => {
  await using server = await ObjectServer.start();
  assertEquals(await server.bucket("none").get("a"), null);
  assertEquals(await server.bucket("none").getStream("a"), null);
  assertEquals(await server.bucket("none").info("a"), null);
  assertEquals(await server.bucket("none").delete("a"), false);
  assertEquals(await server.bucket("none").status(), null);
  const bucket = server.bucket("some", { ttl: 300 });
  await bucket.put("expires", randomBytes(200_000));
  assertEquals(await bucket.getText("missing"), null);
  // The info goes last.
  await waitUntil(async () => await bucket.info("expires") === null);
  assertEquals(await bucket.get("expires"), null);
  assertEquals(await bucket.getStream("expires"), null);
  assertEquals(await bucket.info("expires"), null);
});

Deno.test("ObjectBucket.put replaces an object that has expired meanwhile", async () => {
  await using server = await ObjectServer.start();
  const ttl = 200;
  const bucket = server.bucket("expired", { ttl });
  for (let version = 0; version < 3; version++) {
    await waitUntil(async () => {
      const since = performance.now();
      await bucket.put("object", `version ${version}`);
      const text = await bucket.getText("object");
      // It may have expired before it is read.
      if (text === null && performance.now() - since >= ttl) return false;
      assertEquals(text, `version ${version}`);
      return true;
    });
    await new Promise((resolve) => setTimeout(resolve, 350));
  }
});

Deno.test("ObjectBucket checks its arguments, also without a connection", async () => {
  await using server = await ObjectServer.start({}, { servers: undefined });
  const bucket = server.bucket("checked");
  const wrong: [() => Promise<unknown>, typeof TypeError | typeof RangeError, string][] = [
    [() => bucket.put("", "x"), TypeError, "'name' must not be empty"],
    [
      () => bucket.put(1 as unknown as string, "x"),
      TypeError,
      "'name' must be a string: current value is of type number",
    ],
    [() => bucket.get("\ud800"), TypeError, "'name' must be well-formed"],
    [() => bucket.info("x".repeat(3_000)), RangeError, "must fit a subject of 3000 bytes"],
    [() => bucket.delete(null as unknown as string), TypeError, "current value is null"],
    [() => bucket.put("a", undefined as unknown as string), TypeError, "'data' must be a string or a Uint8Array"],
    [() => bucket.put("a", "\udc00"), TypeError, "lone surrogate"],
    [() => bucket.put("a", "x", { chunkSize: 0 }), RangeError, "'chunkSize' must be a whole number from 1"],
    [() => bucket.put("a", "x", { headers: { "Nats-Msg-Id": "1" } }), TypeError, "not begin with Nats-"],
    [() => bucket.put("a", "x", { headers: { "a b": "1" } }), TypeError, "must be a token"],
    [() => bucket.put("a", "x", { metadata: { a: 1 as unknown as string } }), TypeError, "'metadata.a' must be"],
    [() => bucket.put("a", "x", { description: 1 as unknown as string }), TypeError, "'description' must be"],
    [() => bucket.putStream("a", "x" as unknown as ReadableStream), TypeError, "'source' must be a ReadableStream"],
  ];
  for (const [call, type, message] of wrong) await assertRejects(call, type, message);
});

Deno.test("ObjectBucket.put stores what matches its digest, also of bytes that their owner changes meanwhile", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("reused");
  for (const size of [1_000, 500_000]) {
    const buffer = new Uint8Array(size);
    // The second one waits for the first, as they are of the same name.
    const puts = [1, 2, 3].map((version) => {
      const put = bucket.put("object", buffer.fill(version));
      buffer.fill(0);
      return put;
    });
    for (const put of puts) assertEquals((await put)?.size, size);
    const got = await bucket.get("object");
    if (size === 1_000) assertBytes(got, new Uint8Array(size).fill(3));
    else assertEquals(got?.length, size);
  }
  await server.assertClean("reused");
});
