import { assertEquals } from "@std/assert";
import { Proxy } from "../_support/proxy.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

const SIZES = [0, 1, 131_072, 131_073, 3_000_000];

Deno.test("ObjectBucket works over a bucket that does not allow direct gets", async () => {
  await using server = await ObjectServer.start();
  await server.api("STREAM.CREATE.OBJ_slow", {
    name: "OBJ_slow",
    subjects: ["$O.slow.C.>", "$O.slow.M.>"],
    allow_rollup_hdrs: true,
    allow_direct: false,
    discard: "new",
  });
  const bucket = server.bucket("slow");
  assertEquals(await bucket.get("none"), null);
  for (const size of SIZES) {
    const data = randomBytes(size);
    await bucket.put("object", data);
    for (const reader of [bucket, server.bucket("slow")]) {
      assertBytes(await reader.get("object"), data);
      assertBytes(await new Response(await server.bucket("slow").getStream("object")).bytes(), data);
      assertEquals((await reader.info("object"))?.size, size);
    }
  }
  assertEquals(await bucket.delete("object"), true);
  assertEquals(await bucket.get("object"), null);
  assertEquals((await server.config("slow")).allow_direct, false);
  await server.assertClean("slow");
});

Deno.test("ObjectBucket reads an object again that came damaged, and gives it if it is whole then", async () => {
  await using server = await ObjectServer.start();
  await using proxy = new Proxy(server.server.url);
  await using other = new ObjectServer.Stores(proxy.url);
  await server.api("STREAM.CREATE.OBJ_slow", {
    name: "OBJ_slow",
    subjects: ["$O.slow.C.>", "$O.slow.M.>"],
    allow_rollup_hdrs: true,
    allow_direct: false,
    discard: "new",
  });
  await server.bucket("slow").put("object", "whole");
  const bucket = other.objectBucket("slow");
  let damaged = 0;
  proxy.tampering.change = (_, payload) => {
    if (damaged > 0 || !payload.includes(btoa("whole"))) return undefined;
    damaged++;
    return payload.replace(btoa("whole"), btoa("whale"));
  };
  assertEquals(await bucket.getText("object"), "whole");
  assertEquals(damaged, 1);
});
