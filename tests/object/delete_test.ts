import { assertEquals } from "@std/assert";
import { ObjectServer, randomBytes } from "./_object_server.ts";

Deno.test("ObjectBucket.delete returns whether there was an object, and leaves its info marked as deleted and no chunks", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("deleted");
  await bucket.put("large", randomBytes(500_000));
  await bucket.put("small", "x");
  assertEquals(await bucket.delete("large"), true);
  assertEquals(await bucket.delete("large"), false);
  assertEquals(await bucket.delete("none"), false);
  assertEquals(await bucket.get("large"), null);
  assertEquals(await bucket.info("large"), null);
  assertEquals(await bucket.getStream("large"), null);
  assertEquals(await bucket.getText("small"), "x");
  const { deleted, size, chunks, digest } = (await server.contents("deleted")).records.get("large")!;
  assertEquals({ deleted, size, chunks, digest }, { deleted: true, size: 0, chunks: 0, digest: "" });
  await server.assertClean("deleted");
});

Deno.test("ObjectBucket.put brings a deleted object back", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("again");
  for (let round = 0; round < 3; round++) {
    await bucket.put("object", `round ${round}`);
    assertEquals(await bucket.getText("object"), `round ${round}`);
    assertEquals(await bucket.delete("object"), true);
  }
  await server.assertClean("again");
});

Deno.test("ObjectBucket.delete gives one of many callers true", async () => {
  await using server = await ObjectServer.start();
  const [first, second] = [server.bucket("many"), server.bucket("many")];
  for (let round = 0; round < 20; round++) {
    await first.put("object", "x");
    const told = await Promise.all([first, second, first, second].map((bucket) => bucket.delete("object")));
    assertEquals(told.filter(Boolean).length, 1);
  }
});
