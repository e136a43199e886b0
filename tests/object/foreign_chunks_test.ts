import { assertEquals } from "@std/assert";
import { encodeObjectName } from "../../src/wire/tokens.ts";
import { LaggingReplica } from "../_support/lagging_replica.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { ObjectServer } from "./_object_server.ts";

/** Another client stores an info that names the version of another object, as when it has begun to rename that object. */
async function nameAgain(server: ObjectServer, bucket: string, object: string, name: string): Promise<void> {
  const info = await server.bucket(bucket).info(object);
  await server.nc.request(`$O.${bucket}.M.${encodeObjectName(name)}`, JSON.stringify({ ...info, name }), {
    timeout: 10_000,
  });
}

/** Waits until all chunks are removed that are going to be: closing does not leave them for later. */
async function removalsDone(server: ObjectServer): Promise<void> {
  await server.stores.close();
  await server.stores.connect();
}

for (const way of ["put", "putStream", "delete"] as const) {
  const act = (server: ObjectServer, name: string) => {
    const bucket = server.bucket("shared");
    if (way === "delete") return bucket.delete(name);
    return way === "put" ? bucket.put(name, "new") : bucket.putStream(name, new Blob(["new"]).stream());
  };

  Deno.test(`ObjectBucket.${way} keeps another object's chunks that the info it replaces names`, async () => {
    await using server = await ObjectServer.start();
    const bucket = server.bucket("shared");
    await bucket.put("a", "precious");
    await nameAgain(server, "shared", "a", "liar");
    assertEquals(await bucket.getText("liar"), "precious");
    await act(server, "liar");
    await removalsDone(server);
    assertEquals(await bucket.getText("a"), "precious");
    assertEquals(await bucket.getText("liar"), way === "delete" ? null : "new");
    await server.assertClean("shared");
  });

  Deno.test(`ObjectBucket.${way} keeps the chunks of an object that another client is half-way through renaming`, async () => {
    await using server = await ObjectServer.start();
    const bucket = server.bucket("shared");
    await bucket.put("before", "precious");
    await nameAgain(server, "shared", "before", "after");
    await act(server, "before");
    await removalsDone(server);
    assertEquals(await bucket.getText("after"), "precious");
    assertEquals(await bucket.getText("before"), way === "delete" ? null : "new");
    await server.assertClean("shared");
  });
}

Deno.test("ObjectBucket removes the chunks of versions that other processes have stored, however many infos there are", async () => {
  await using server = await ObjectServer.start();
  await using others = new ObjectServer.Stores(server.server.url);
  const [bucket, other] = [server.bucket("many"), others.objectBucket("many")];
  const names = Array.from({ length: 2_500 }, (_, n) => `object ${n}`);
  await Promise.all(names.map((name) => other.put(name, "first")));
  for (let round = 0; round < 3; round++) {
    await Promise.all(names.slice(0, 100).map((name) => (round % 2 ? other : bucket).put(name, `${round}`)));
  }
  await Promise.all(names.slice(50, 100).map((name) => server.bucket("many").delete(name)));
  await server.assertClean("many");
  await others.close();
  await server.assertClean("many");
});

Deno.test("ObjectBucket sees an info that names a version also where the replica that answers lags behind", async () => {
  await using replica = await LaggingReplica.start("OBJ_shared");
  await using stores = new ObjectServer.Stores(replica.urls);
  const bucket = stores.objectBucket("shared");
  await waitUntil(async () => await bucket.put("before", "precious") !== null);
  await replica.freeze();
  const info = await bucket.info("before");
  await replica.publish(`$O.shared.M.${encodeObjectName("after")}`, JSON.stringify({ ...info, name: "after" }));
  await bucket.put("before", "new");
  await stores.close();
  await stores.connect();
  await replica.freeze();
  assertEquals(await bucket.getText("after"), "precious");
});

Deno.test("ObjectBucket sees an info that is renamed while the infos are read, from one replica and then from one that lags behind", async () => {
  await using replica = await LaggingReplica.start("OBJ_shared");
  await using stores = new ObjectServer.Stores(replica.urls);
  const bucket = stores.objectBucket("shared");
  await waitUntil(async () => await bucket.put("first", "precious") !== null);
  await replica.freeze();
  const info = await bucket.info("first");
  const subject = (name: string) => `$O.shared.M.${encodeObjectName(name)}`;
  const store = (name: string) => replica.publish(subject(name), JSON.stringify({ ...info, name }));
  await store("before");
  let read = 0;
  replica.onPage = async () => {
    // The name of another object, so that the first page ends behind all that was there when the look began.
    await replica.publish(subject("other"), JSON.stringify({ ...info, name: "other", nuid: "other" }));
    await store("after");
    await replica.purge(subject("before"));
    await replica.freeze();
    return read = 2;
  };
  await bucket.put("first", "new");
  await stores.close();
  assertEquals(read, 2);
  await stores.connect();
  await replica.freeze();
  assertEquals(await bucket.getText("after"), "precious");
});

Deno.test("ObjectBucket removes the chunks of versions of others for a user that may ask the leader only", async () => {
  await using server = await ObjectServer.start({
    config: `
      authorization {
        users: [
          { user: all, password: all }
          {
            user: writer, password: writer
            permissions { publish { allow: [
              "$JS.API.STREAM.INFO.OBJ_shared", "$JS.API.STREAM.PURGE.OBJ_shared", "$JS.API.STREAM.MSG.GET.OBJ_shared", "$O.shared.>"
            ] } }
          }
        ]
      }
      no_auth_user: all`,
  });
  const bucket = server.bucket("shared");
  await using stores = new ObjectServer.Stores(server.server.url.replace("//", "//writer:writer@"));
  const writer = stores.objectBucket("shared");
  for (const [round, name] of ["a", "b", "a", "b"].entries()) {
    await bucket.put(name, `first ${round}`);
    assertEquals((await writer.put(name, `second ${round}`))?.name, name);
  }
  await server.assertClean("shared");
  for (const [round, name] of ["a", "b"].entries()) assertEquals(await bucket.getText(name), `second ${round + 2}`);
});
