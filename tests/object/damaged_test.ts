import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import type { ObjectBucket } from "../../src/object/object_bucket.ts";
import { ObjectServer, randomBytes } from "./_object_server.ts";

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
  for (const size of [10, 100_000, 500_000]) {
    const info = await bucket.put("object", randomBytes(size));
    const piece = `$O.damaged.C.${info!.nuid}`;
    const { message } = await server.api<{ message: { seq: number } }>("STREAM.MSG.GET.OBJ_damaged", {
      last_by_subj: piece,
    });
    await server.api("STREAM.MSG.DELETE.OBJ_damaged", { seq: message.seq });
    await server.nc.request(piece, randomBytes(size - (info!.chunks - 1) * 131_072));
    await assertDamaged(bucket, "object");
    assertEquals((await bucket.info("object"))?.size, size);
  }
  await bucket.put("object", "whole again");
  assertEquals(await bucket.getText("object"), "whole again");
  await server.assertClean("damaged");
});

Deno.test("ObjectBucket throws for an object that has another size than its record says", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("damaged");
  for (const size of [10, 300_000]) {
    const info = await bucket.put("object", randomBytes(size));
    const record = `$O.damaged.M.${btoa("object")}`;
    for (const wrong of [size - 1, size + 1]) {
      const { mtime: _, ...meta } = info!;
      await server.nc.request(record, JSON.stringify({ ...meta, size: wrong }));
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
    );
    assertEquals(await bucket.getText("object"), "hello?>");
  }
});

Deno.test("ObjectBucket tells of a record that cannot be read, leaves it out of lists, and writes over it", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("garbage");
  await bucket.put("good", "x");
  for (const [name, garbage] of [["a", "no JSON"], ["b", "null"], ["c", "{}"]]) {
    await server.nc.request(`$O.garbage.M.${btoa(name).padEnd(4, "=")}`, garbage);
    const error = await assertRejects(() => bucket.get(name), JetStreamStoreError, "The record of the object");
    assertEquals(error.code, "damaged");
  }
  assertEquals(await Array.fromAsync(bucket.list(), ({ name }) => name), ["good"]);
  assertEquals(server.log.filter((line) => line.startsWith("The record of the object")).length, 3);
  for (const name of ["a", "b", "c"]) {
    await bucket.put(name, name);
    assertEquals(await bucket.getText(name), name);
  }
});

Deno.test("ObjectBucket does not take a record's word for subjects and sizes: it is damaged, and no pieces are removed for it", async () => {
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
    await server.nc.request(subject, JSON.stringify(record));
    const uses = [
      () => bucket.get("a"),
      () => bucket.getStream("a"),
      () => bucket.info("a"),
      () => bucket.delete("a"),
    ];
    for (const use of uses) {
      const error = await assertRejects(use, JetStreamStoreError, `The record of the object on "${subject}"`);
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
