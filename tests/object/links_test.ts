import { assert, assertEquals, assertRejects } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { connect as connectOld } from "nats";
import { JetStreamStoreError } from "../../src/errors.ts";
import { ObjectServer } from "./_object_server.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("ObjectBucket.get follows the links of other clients, within a bucket and to another one", async () => {
  await using server = await ObjectServer.start();
  const manager = new Objm(server.nc);
  const [near, far] = [await manager.create("near"), await manager.create("far")];
  await near.link("to near", await near.putBlob({ name: "object" }, encode("here")));
  await near.link("to far", await far.putBlob({ name: "object" }, encode("there")));
  const bucket = server.bucket("near");
  assertEquals(await bucket.getText("to near"), "here");
  assertEquals(await bucket.getText("to far"), "there");
  const stream = await bucket.getStream("to far");
  assertEquals(await new Response(stream).text(), "there");
  assertEquals((await bucket.info("to far"))?.link, { bucket: "far", name: "object" });
  assertEquals(await server.bucket("far").delete("object"), true);
  assertEquals(await bucket.getText("to far"), null);
});

Deno.test("ObjectBucket writes and deletes a link, not what it leads to", async () => {
  await using server = await ObjectServer.start();
  const official = await new Objm(server.nc).create("links");
  const target = await official.putBlob({ name: "object" }, encode("target"));
  for (const link of ["written", "deleted"]) await official.link(link, target);
  const bucket = server.bucket("links");
  await bucket.put("written", "new");
  assertEquals(await bucket.delete("deleted"), true);
  assertEquals(await bucket.getText("written"), "new");
  assertEquals(await bucket.getText("deleted"), null);
  assertEquals(await bucket.getText("object"), "target");
  await server.assertClean("links");
});

Deno.test("ObjectBucket.get throws for links to a whole bucket, to nowhere, and in a circle", async () => {
  await using server = await ObjectServer.start();
  const manager = new Objm(server.nc);
  const [bucket, official] = [server.bucket("bad"), await manager.create("bad")];
  await official.linkStore("whole", await manager.create("other"));
  const link = (name: string, to: Record<string, unknown>) =>
    server.nc.request(
      `$O.bad.M.${btoa(name)}`,
      JSON.stringify({ name, bucket: "bad", nuid: "", size: 0, chunks: 0, options: { link: to } }),
      { timeout: 10_000 },
    );
  await link("circle", { bucket: "bad", name: "circle" });
  await link("nowhere", { bucket: "a.>", name: "x" });
  await link("long", { bucket: "bad", name: "x".repeat(5_000) });
  await link("long bucket", { bucket: "b".repeat(5_000), name: "x" });
  await link("no such bucket", { bucket: "nobody", name: "x" });
  for (
    const [name, message] of [
      ["whole", 'is a link to the whole bucket "other"'],
      ["circle", "is behind more than 8 links"],
      ["nowhere", "is a link to no bucket"],
      ["long bucket", "is a link to no bucket"],
      ["long", "is a link to no object"],
    ]
  ) {
    const error = await assertRejects(() => bucket.getText(name), JetStreamStoreError, message);
    assertEquals(error.code, "wrong_kind");
  }
  assertEquals(await bucket.getText("no such bucket"), null);
  assertEquals(server.stores.connectionCounters().disconnects, 0);
});

Deno.test("ObjectBucket.link makes links that the JavaScript clients follow, within a bucket and to another one", async () => {
  await using server = await ObjectServer.start();
  const manager = new Objm(server.nc);
  const [near, far] = [server.bucket("near"), server.bucket("far")];
  await near.put("object", "here");
  await far.put("object", "there");
  assert(await near.link("to near", { bucket: "near", name: "object" }));
  assert(await near.link("to far", { bucket: "far", name: "object" }));
  assert(await near.link("to all", { bucket: "far" }));
  const nc = await connectOld({ servers: server.server.url });
  for (const official of [await manager.open("near"), await nc.jetstream().views.os("near")]) {
    for (const [name, text] of [["to near", "here"], ["to far", "there"]]) {
      assertEquals(new TextDecoder().decode((await official.getBlob(name))!), text);
      assertEquals(await near.getText(name), text);
    }
    const { link } = (await official.info("to all"))!.options!;
    assertEquals([link!.bucket, link!.name], ["far", undefined]);
  }
  await nc.close();
  const record = await server.record("near", `$O.near.M.${btoa("to far")}`);
  const { nuid, mtime, ...rest } = record!;
  assertEquals(rest, {
    name: "to far",
    options: { link: { bucket: "far", name: "object" } },
    bucket: "near",
    size: 0,
    chunks: 0,
  });
  assert(/^[0-9A-Za-z]{22}$/.test(nuid as string) && !Number.isNaN(Date.parse(mtime as string)));
});

Deno.test("ObjectBucket.link replaces links, deleted objects and nothing, but no object", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("links");
  assert(await bucket.link("link", { bucket: "links", name: "one" }));
  assertEquals(await bucket.getText("link"), null);
  await bucket.put("one", "1");
  await bucket.put("two", "2");
  assertEquals(await bucket.getText("link"), "1");
  assert(await bucket.link("link", { bucket: "links", name: "two" }));
  assertEquals(await bucket.getText("link"), "2");
  assert(await bucket.update("link", { description: "d" }));
  assertEquals((await bucket.info("link"))?.link, { bucket: "links", name: "two" });
  assertEquals(await bucket.link("one", { bucket: "links", name: "two" }), false);
  assertEquals(await bucket.getText("one"), "1");
  await bucket.delete("one");
  assert(await bucket.link("one", { bucket: "links", name: "link" }));
  assertEquals(await bucket.getText("one"), "2");
  await bucket.put("two", "new");
  assertEquals(await bucket.getText("one"), "new");
  assertEquals(await bucket.delete("one"), true);
  assertEquals(await bucket.getText("two"), "new");
  await server.stores.close();
  await server.stores.connect();
  assertEquals(await bucket.getText("link"), "new");
  await server.assertClean("links");
});
