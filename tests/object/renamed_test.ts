import { assertEquals } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { ObjectServer } from "./_object_server.ts";

Deno.test("ObjectBucket leaves the pieces of an object that another client has renamed", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("renamed");
  await bucket.put("before", "of the first name");
  const official = await new Objm(server.nc).open("renamed");
  await official.update("before", { name: "after" });
  assertEquals(await bucket.getText("before"), null);
  assertEquals(await bucket.getText("after"), "of the first name");
  await bucket.put("before", "another object");
  await bucket.put("other", "the removals come after this");
  await server.stores.close();
  await server.stores.connect();
  assertEquals(await bucket.getText("after"), "of the first name");
  assertEquals(await bucket.getText("before"), "another object");
  await server.assertClean("renamed");
});
