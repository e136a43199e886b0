import { assertEquals } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { ObjectServer } from "./_object_server.ts";

/** Another client gives an object another name; returns its bucket. */
async function rename(server: ObjectServer) {
  const official = await new Objm(server.nc).open("renamed");
  await official.update("before", { name: "after" });
  return official;
}

Deno.test("ObjectBucket leaves the chunks of an object that another client has renamed", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("renamed");
  await bucket.put("before", "of the first name");
  await rename(server);
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

Deno.test("ObjectBucket.put leaves the chunks of a renamed object whose old name another client has used again", async () => {
  await using server = await ObjectServer.start();
  const bucket = server.bucket("renamed");
  await bucket.put("before", "of the first name");
  const official = await rename(server);
  await official.putBlob({ name: "before" }, new TextEncoder().encode("another object"));
  await bucket.put("before", "ours again");
  await server.stores.close();
  await server.stores.connect();
  assertEquals(await bucket.getText("after"), "of the first name");
  assertEquals(await bucket.getText("before"), "ours again");
  await server.assertClean("renamed", true);
});

Deno.test("ObjectBucket keeps the chunks of an unconfirmed put when another client has renamed the object since", async () => {
  await using server = await ObjectServer.start();
  let lost = false;
  await using proxy = new Proxy(server.server.url, { drop: (_subject, payload) => lost && payload.includes('"seq"') });
  await using stores = new ObjectServer.Stores(proxy.url, { timeout: 1_500 });
  const bucket = stores.objectBucket("renamed");
  await waitUntil(async () => await bucket.put("before", "the version before") !== null);
  lost = true;
  assertEquals(await bucket.put("before", "of the first name"), null);
  lost = false;
  await rename(server);
  await waitUntil(async () => await bucket.put("other", "the removals come after this") !== null);
  await stores.close();
  await stores.connect();
  assertEquals(await bucket.getText("after"), "of the first name");
  await server.assertClean("renamed", true);
});
