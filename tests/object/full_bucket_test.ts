import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

Deno.test("ObjectBucket.put refused by a full bucket leaves the version before whole, and nothing else", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("full", { maxBytes: 200_000 });
  const first = randomBytes(60_000);
  // What is there, and what is known of it, decides which way a write takes.
  await bucket.put("kept", first);
  for (const writer of [bucket, server.bucket("full")]) {
    for (const size of [150_000, 190_000, 1_000_000]) {
      const error = await assertRejects(
        () => writer.put("kept", randomBytes(size)),
        JetStreamStoreError,
        "maximum bytes",
      );
      assertEquals(error.code, "limits");
      // Whatever part of it has found room is gone when it throws.
      assertEquals((await server.contents("full")).orphans, []);
      const source = new Blob([randomBytes(size)]).stream();
      await assertRejects(() => writer.putStream("kept", source), JetStreamStoreError, "maximum bytes");
      assertEquals((await server.contents("full")).orphans, []);
      await assertRejects(() => writer.put("new", randomBytes(size)), JetStreamStoreError, "maximum bytes");
    }
  }
  assertBytes(await bucket.get("kept"), first);
  assertEquals(await bucket.get("new"), null);
  await server.assertClean("full");
  await bucket.put("kept", "small");
  assertEquals(await bucket.getText("kept"), "small");
});

Deno.test("ObjectBucket.put whose info finds no room removes its chunks", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("tight", { maxBytes: 20_000 });
  await bucket.put("kept", "old");
  let refused = 0;
  // Somewhere on the way up the chunk finds room and its info does not.
  for (let size = 18_600; size < 20_000; size += 50) {
    await bucket.put("new", randomBytes(size)).catch((error) => {
      assertEquals((error as JetStreamStoreError).code, "limits");
      refused++;
    });
    await server.assertClean("tight");
    await bucket.delete("new");
    await server.assertClean("tight");
  }
  assertEquals(await bucket.getText("kept"), "old");
  assertEquals(refused > 5, true);
});
