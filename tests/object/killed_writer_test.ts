import { assertEquals } from "@std/assert";
import { startProcess } from "../_support/start_process.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

Deno.test("ObjectBucket keeps the version before whole when its writer is killed half-way", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("killed");
  const before = randomBytes(300_000);
  await bucket.put("object", before);
  await using writer = startProcess(
    new URL("_killed_writer.ts", import.meta.url),
    server.server.url,
    "killed",
    "object",
  );
  assertEquals(await writer.nextLine(), "half-way");
  await writer.kill();
  assertBytes(await bucket.get("object"), before);
  assertEquals((await bucket.info("object"))?.size, before.length);
  await bucket.put("object", "after");
  assertEquals(await bucket.getText("object"), "after");
  assertEquals((await server.contents("killed")).incomplete, []);
});

Deno.test("ObjectBucket has whole versions only after the server was killed while it was written to", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("server");
  const data = randomBytes(300_000);
  for (let round = 0; round < 2; round++) {
    await bucket.put("object", data);
    const writing = Promise.all(
      Array.from({ length: 20 }, (_, n) => bucket.put(n % 2 ? "object" : "small", data.subarray(n * (n % 2)))),
    );
    await new Promise((resolve) => setTimeout(resolve, 5 + 5 * round));
    await server.server.kill();
    await writing;
    await server.server.restart();
    await waitUntil(() => server.stores.connectionStatus() === "connected");
    const got = await bucket.get("object");
    assertBytes(got, data.subarray(data.length - got!.length));
  }
});
