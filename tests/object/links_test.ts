import { assertEquals, assertRejects } from "@std/assert";
import { Objm } from "@nats-io/obj";
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
