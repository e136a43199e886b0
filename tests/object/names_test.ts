import { assertEquals, assertRejects } from "@std/assert";
import { Objm } from "@nats-io/obj";
import fc from "fast-check";
import { ObjectServer } from "./_object_server.ts";

/** Names as they come, and names rich in what matters in subjects and in base64. */
const names = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 50 }),
  fc.string({ unit: fc.constantFrom(".", "*", ">", "/", " ", "\0", "\n", "~", "?", "ÿ", "ü", "😀"), minLength: 1 }),
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
).filter((name) => name.isWellFormed());

Deno.test("ObjectBucket keeps any non-empty string as a name apart from all others", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("names");
  const all = [
    ...new Set([...fc.sample(names, 300), "*", ">", ".", "a.b", "a b", "👍🏽", "x".repeat(1_024), "é".repeat(512)]),
  ];
  await Promise.all(all.map((name) => bucket.put(name, `this is ${name}`)));
  for (const name of all) assertEquals(await bucket.getText(name), `this is ${name}`);
  const listed = await Array.fromAsync(bucket.list(), ({ name }) => name);
  assertEquals(listed.sort(), all.sort());
});

Deno.test("ObjectBucket stores names of 2200 bytes, and refuses longer ones before anything is sent", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("long");
  const name = "n".repeat(2_200);
  await bucket.put(name, "x");
  assertEquals(await bucket.getText(name), "x");
  for (const call of [() => bucket.put("n".repeat(2_300), "x"), () => bucket.getText("n".repeat(2_300))]) {
    await assertRejects(call, RangeError, "must fit a subject of 3000 bytes");
  }
  assertEquals(await bucket.getText(name), "x");
});

Deno.test("ObjectBucket finds and deletes names with accents as the JavaScript clients spell them", async () => {
  await using server = await ObjectServer.start();
  const official = await new Objm(server.nc).create("accents");
  const bucket = server.bucket("accents");
  for (const name of ["café", "ÿ", "naïve/Ü>.*"]) {
    await official.putBlob({ name }, new TextEncoder().encode(name));
    assertEquals(await bucket.getText(name), name);
    assertEquals((await bucket.info(name))?.name, name);
    assertEquals(await bucket.delete(name), true);
    assertEquals(await bucket.getText(name), null);
    assertEquals(await official.getBlob(name), null);
  }
  await server.assertClean("accents");
});
