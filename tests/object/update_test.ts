import { assert, assertEquals } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { connect as connectOld } from "nats";
import { Proxy } from "../_support/proxy.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

const DATA = randomBytes(300_000);

Deno.test("ObjectBucket.update changes what is given, removes what is null, and leaves the bytes", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("updates");
  const put = (await bucket.put("a", DATA, { description: "d", headers: { A: "1" }, metadata: { k: "v" } }))!;
  const updated = await bucket.update("a", { description: "new", headers: { B: ["2", "3"] } });
  assert(updated);
  const { mtime: _, ...rest } = updated;
  const { mtime: __, ...before } = put;
  assertEquals(rest, { ...before, description: "new", headers: { B: ["2", "3"] }, metadata: { k: "v" } });
  assert(await bucket.update("a", { description: null, metadata: null }));
  const { description, headers, metadata } = (await bucket.info("a"))!;
  assertEquals({ description, headers, metadata }, {
    description: undefined,
    headers: { B: ["2", "3"] },
    metadata: undefined,
  });
  assertEquals((await Array.fromAsync(bucket.list())).length, 1);
  await bucket.put("other", "old chunks are removed after this");
  await server.stores.close();
  await server.stores.connect();
  assertBytes(await bucket.get("a"), DATA);
  await server.assertClean("updates");
});

Deno.test("ObjectBucket.update is false for what is not there, and makes no bucket", async () => {
  await using server = await ObjectServer.start();
  assertEquals(await server.bucket("none").update("a", { description: "d" }), false);
  assertEquals(await server.bucket("none").status(), null);
  const bucket = server.bucket("updates");
  await bucket.put("a", "x");
  await bucket.delete("a");
  assertEquals(await bucket.update("a", { description: "d" }), false);
  assertEquals(await bucket.get("a"), null);
});

Deno.test("ObjectBucket.update and the JavaScript clients read each other's infos, and keep what the others stored", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("updates");
  const present = await new Objm(server.nc).create("updates");
  const nc = await connectOld({ servers: server.server.url });
  const old = await nc.jetstream().views.os("updates");
  await present.putBlob({ name: "theirs", options: { max_chunk_size: 50_000 } }, DATA);
  await bucket.put("ours", DATA);
  // The JavaScript clients spell this name in Latin-1.
  await present.putBlob({ name: "café" }, DATA);
  for (const name of ["theirs", "ours", "café"]) {
    const size = (await present.info(name))?.options?.max_chunk_size;
    const update = { description: "d", headers: { A: ["1", "2"] }, metadata: { k: "v" } };
    assert(await bucket.update(name, update));
    for (const official of name === "ours" ? [present, old] : [present]) {
      const info = (await official.info(name))!;
      assertEquals([info.description, info.headers?.values("A"), info.metadata], ["d", ["1", "2"], { k: "v" }]);
      assertEquals([info.options?.max_chunk_size, info.deleted], [size, false]);
      assertBytes((await official.getBlob(name))!, DATA);
    }
    await present.update(name, { name, description: "theirs" });
    assertEquals((await bucket.info(name))?.description, "theirs");
    assertBytes(await bucket.get(name), DATA);
  }
  await nc.close();
  await server.assertClean("updates", true);
});

Deno.test("ObjectBucket.update loses no chunks beside puts, deletes and updates of two processes", async () => {
  await using server = await ObjectServer.start();
  await using others = new ObjectServer.Stores(server.server.url);
  const buckets = [server.bucket("updates"), others.objectBucket("updates")];
  await buckets[0].put("kept", DATA);
  await buckets[0].put("busy", "0");
  await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const bucket = buckets[i % 2];
    assert(await bucket.update("kept", { metadata: { [`k${i}`]: "v" } }));
    if (i % 5 === 0) await bucket.delete("busy");
    else if (i % 3 === 0) await bucket.put("busy", String(i));
    else await bucket.update("busy", { description: String(i) });
  }));
  await buckets[0].put("busy", "last");
  await others.close();
  await server.stores.close();
  await server.stores.connect();
  assertBytes(await buckets[0].get("kept"), DATA);
  assertEquals(await buckets[0].getText("busy"), "last");
  await server.assertClean("updates");
});

Deno.test("ObjectBucket.update, and a put after it, leave the chunks that another name has taken over meanwhile", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("updates");
  await bucket.put("before", "of the first name");
  // The first half of what other clients do to rename an object.
  const record = await server.record("updates", `$O.updates.M.${btoa("before")}`);
  await server.nc.request(`$O.updates.M.${btoa("after")}`, JSON.stringify({ ...record, name: "after" }), {
    timeout: 10_000,
  });
  assert(await bucket.update("before", { description: "d" }));
  await bucket.put("before", "another object");
  await bucket.put("other", "old chunks are removed after this");
  await server.stores.close();
  await server.stores.connect();
  assertEquals(await bucket.getText("after"), "of the first name");
  assertEquals(await bucket.getText("before"), "another object");
});

Deno.test("ObjectBucket.update removes the chunks of a version that another client replaced and left", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("updates");
  await bucket.put("a", "the first version");
  const subject = `$O.updates.M.${btoa("a")}`;
  const record = await server.record("updates", subject);
  await server.nc.request("$O.updates.C.another", "the other version", { timeout: 10_000 });
  const digest = (await bucket.put("b", "the other version"))!.digest;
  await server.nc.request(subject, JSON.stringify({ ...record, nuid: "another", digest }), { timeout: 10_000 });
  assert(await bucket.update("a", { description: "d" }));
  assertEquals(await bucket.getText("a"), "the other version");
  await server.stores.close();
  await server.stores.connect();
  assertEquals(await bucket.getText("a"), "the other version");
  await server.assertClean("updates");
});

Deno.test("ObjectBucket.update and link are confirmed by what is stored when their reply is lost, and lose no chunks when nothing is", async () => {
  await using server = await ObjectServer.start();
  let lost = 0;
  const drop = (_subject: string, payload: string) => payload.includes('"seq"') && lost-- > 0;
  await using proxy = new Proxy(server.server.url, { drop });
  await using stores = new ObjectServer.Stores(proxy.url, { timeout: 10_000 });
  const bucket = stores.objectBucket("updates");
  assert(await bucket.put("a", DATA));
  lost = 1;
  const updated = await bucket.update("a", { description: "once" });
  assertEquals(updated && updated.description, "once");
  lost = 1;
  const linked = await bucket.link("link", { bucket: "updates", name: "a" });
  assertEquals(linked && linked.link, { bucket: "updates", name: "a" });
  lost = Infinity;
  assertEquals(await bucket.update("a", { description: "twice" }), null);
  lost = 0;
  await bucket.put("other", "old chunks are removed after this");
  await stores.close();
  await stores.connect();
  assertBytes(await bucket.get("link"), DATA);
  await server.assertClean("updates");
});
