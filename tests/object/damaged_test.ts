import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import type { ObjectBucket } from "../../src/object/object_bucket.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

async function assertDamaged(bucket: ObjectBucket, name: string): Promise<void> {
  const reads = [
    () => bucket.get(name),
    () => bucket.getText(name),
    async () => await new Response(await bucket.getStream(name)).bytes(),
  ];
  for (const read of reads) {
    const error = await assertRejects<Error>(
      read,
      JetStreamStoreError,
      `"${name}" of the bucket "damaged" does not match`,
    );
    assertEquals((error as JetStreamStoreError).code, "damaged");
  }
}

Deno.test("ObjectBucket throws for an object that does not match its digest", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("damaged");
  // The last one takes three pages.
  for (const size of [10, 100_000, 500_000, 9_000_000]) {
    const info = await bucket.put("object", randomBytes(size));
    const piece = `$O.damaged.C.${info!.nuid}`;
    const { message } = await server.api<{ message: { seq: number } }>("STREAM.MSG.GET.OBJ_damaged", {
      last_by_subj: piece,
    });
    await server.api("STREAM.MSG.DELETE.OBJ_damaged", { seq: message.seq });
    await server.nc.request(piece, randomBytes(size - (info!.chunks - 1) * 131_072), { timeout: 10_000 });
    await assertDamaged(bucket, "object");
    assertEquals((await bucket.info("object"))?.size, size);
  }
  await bucket.put("object", "whole again");
  assertEquals(await bucket.getText("object"), "whole again");
  await server.assertClean("damaged");
});

Deno.test("ObjectBucket throws for an object that has another size than its info says", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("damaged");
  for (const size of [10, 300_000]) {
    const info = await bucket.put("object", randomBytes(size));
    const record = `$O.damaged.M.${btoa("object")}`;
    for (const wrong of [size - 1, size + 1]) {
      const { mtime: _, ...meta } = info!;
      await server.nc.request(record, JSON.stringify({ ...meta, size: wrong }), { timeout: 10_000 });
      await assertDamaged(bucket, "object");
    }
  }
});

Deno.test("ObjectBucket.get reads digests as other clients have spelled them", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("spelled");
  const info = await bucket.put("object", "hello?>");
  const digest = info!.digest.slice("SHA-256=".length);
  const bytes = Uint8Array.from(atob(digest.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  for (
    const spelling of [
      digest.replaceAll("=", ""),
      digest.replaceAll("-", "+").replaceAll("_", "/"),
      hex,
      hex.toUpperCase(),
    ]
  ) {
    await server.nc.request(
      `$O.spelled.M.${btoa("object")}`,
      JSON.stringify({ ...info, digest: `SHA-256=${spelling}` }),
      { timeout: 10_000 },
    );
    assertEquals(await bucket.getText("object"), "hello?>");
  }
});

Deno.test("ObjectBucket leaves a damaged info out of lists and watches with one line each, and writes over it", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("garbage");
  await bucket.put("good", "w");
  for (const [name, garbage] of [["a", "no JSON"], ["b", "null"], ["c", "{}"]]) {
    await server.nc.request(`$O.garbage.M.${btoa(name).padEnd(4, "=")}`, garbage, { timeout: 10_000 });
    const error = await assertRejects(() => bucket.get(name), JetStreamStoreError, "The info of the object");
    assertEquals(error.code, "damaged");
  }
  await bucket.put("good", "x");
  assertEquals(await Array.fromAsync(bucket.list(), ({ name }) => name), ["good"]);
  for await (const { name } of bucket.watch()) {
    assertEquals(name, "good");
    break;
  }
  assertEquals(server.log.filter((line) => line.startsWith("The info of the object")).length, 2);
  for (const name of ["a", "b", "c"]) {
    await bucket.put(name, name);
    assertEquals(await bucket.getText(name), name);
  }
});

Deno.test("ObjectBucket checks the subjects and sizes of an info: it is damaged, and no chunks are removed for it", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("foreign");
  await bucket.put("other", randomBytes(300_000));
  const whole = { name: "a", bucket: "foreign", nuid: "v", size: 10, chunks: 1, digest: "", mtime: "" };
  const wrong = [
    ...[">", "*", "a.>", "a b", "a\r\nb", "x".repeat(5_000), "", 5, null].map((nuid) => ({ ...whole, nuid })),
    ...[1e13, -1, 0.5, "10"].map((size) => ({ ...whole, size, chunks: 2 })),
    ...[-1, 0, 0.5, "1"].map((chunks) => ({ ...whole, chunks })),
  ];
  const subject = `$O.foreign.M.${btoa("a").padEnd(4, "=")}`;
  for (const record of wrong) {
    await server.nc.request(subject, JSON.stringify(record), { timeout: 10_000 });
    const uses = [
      () => bucket.get("a"),
      () => bucket.getStream("a"),
      () => bucket.info("a"),
      () => bucket.delete("a"),
    ];
    for (const use of uses) {
      const error = await assertRejects(use, JetStreamStoreError, `The info of the object on "${subject}"`);
      assertEquals(error.code, "damaged");
    }
    assertEquals((await bucket.put("a", "x"))?.size, 1);
  }
  // Each version of ours that was replaced is removed, after whatever was to be removed before.
  await bucket.put("a", "last");
  await server.assertClean("foreign");
  assertEquals((await bucket.get("other"))?.length, 300_000);
  assertEquals(server.stores.connectionCounters().disconnects, 0);
});

Deno.test("ObjectBucket throws 'damaged' for an info with a field of a wrong type, whichever it is, and takes no memory for it", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("typed");
  const { mtime, ...whole } = (await bucket.put("good", "x"))!;
  const odd = [7, true, "text", [], [7], {}, { a: 7 }, { a: [7] }, null];
  const fits: Record<string, (value: unknown) => boolean> = {
    name: (value) => typeof value === "string",
    bucket: (value) => value === null || typeof value === "string",
    nuid: (value) => typeof value === "string",
    digest: (value) => value === null || typeof value === "string",
    description: (value) => value === null || typeof value === "string",
    deleted: (value) => value === null || typeof value === "boolean",
    size: (value) => value === null || value === 7,
    chunks: (value) => value === 7,
    mtime: (value) => value === null,
    headers: (value) => value === null || JSON.stringify(value) === "{}",
    metadata: (value) => value === null || JSON.stringify(value) === "{}",
    options: (value) => value === null || (typeof value === "object" && !Array.isArray(value)),
  };
  const subject = `$O.typed.M.${btoa("odd")}`;
  const store = (change: Record<string, unknown>) =>
    server.nc.request(subject, JSON.stringify({ ...whole, name: "odd", mtime, ...change }), { timeout: 10_000 });
  const changes: Record<string, unknown>[] = Object.entries(fits).flatMap(([field, fit]) =>
    odd.filter((value) => !fit(value)).map((value) => ({ [field]: value }))
  );
  changes.push(
    ...[7, "text", [], {}, { bucket: 7 }, { bucket: "b", name: 7 }].map((link) => ({ options: { link } })),
    ...["1", -1, {}].map((max_chunk_size) => ({ options: { max_chunk_size } })),
    ...["yesterday", "2026-13-45", "\0"].map((mtime) => ({ mtime })),
    ...[2 ** 52, 1e300, -0.5].map((size) => ({ size })),
  );
  for (const change of changes) {
    await store(change);
    for (const read of [() => bucket.get("odd"), () => bucket.getStream("odd"), () => bucket.info("odd")]) {
      const error = await assertRejects(read, JetStreamStoreError, subject, JSON.stringify(change));
      assertEquals(error.code, "damaged");
    }
    assertEquals(await Array.fromAsync(bucket.list(), ({ name }) => name), ["good"]);
  }
  // What it claims is not there: no room is made for it.
  for (const change of [{ size: 2 ** 36, chunks: 2 ** 12 }, { size: 2 ** 40, chunks: 1e9 }, { chunks: 1e9 }]) {
    await store({ ...change, nuid: "none" });
    assertEquals(await bucket.get("odd"), null);
  }
  await store({ headers: { a: "one", b: ["two"] }, bucket: null, digest: whole.digest });
  assertEquals((await bucket.info("odd"))?.headers, { a: ["one"], b: ["two"] });
  assertEquals(await bucket.getText("good"), "x");
});

Deno.test("ObjectBucket.get reads an object of more bytes than room is made for at once", async () => {
  await using server = await ObjectServer.start({}, { timeout: 30_000 });
  const bucket = server.bucket("large");
  const data = randomBytes(40_000_000);
  await bucket.put("object", data);
  assertBytes(await bucket.get("object"), data);
});
