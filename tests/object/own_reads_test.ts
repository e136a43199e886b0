import { assertEquals, assertGreater } from "@std/assert";
import { startNatsCluster } from "../../src/testing/mod.ts";
import { LaggingReplica } from "../_support/lagging_replica.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { assertBytes, ObjectServer, randomBytes } from "./_object_server.ts";

/** A bucket with one object, read through a replica that has nothing newer. */
async function startLagging() {
  const replica = await LaggingReplica.start("OBJ_b");
  await using stores = new ObjectServer.Stores(replica.urls);
  await waitUntil(async () => await stores.objectBucket("b").put("old", "first") !== null);
  await replica.freeze();
  return replica;
}

Deno.test("ObjectBucket reads what its process has written where the replica that answers lags behind", async () => {
  await using replica = await startLagging();
  await using stores = new ObjectServer.Stores(replica.urls);
  const [bucket, other] = [stores.objectBucket("b"), stores.objectBucket("b")];
  assertEquals(await bucket.getText("old"), "first");
  assertGreater(replica.answered, 0);
  const large = randomBytes(1_000_000);
  for (const name of ["old", "new"]) {
    await bucket.put(name, "second");
    assertEquals((await other.info(name))?.size, 6);
    assertEquals(await other.getText(name), "second");
    await bucket.put(name, large);
    assertBytes(await other.get(name), large);
    assertBytes(await new Response(await other.getStream(name)).bytes(), large);
    assertEquals((await Array.fromAsync(other.list())).find((info) => info.name === name)?.size, large.length);
    await bucket.delete(name);
    assertEquals(await other.get(name), null);
    assertEquals(await other.info(name), null);
  }
});

Deno.test("ObjectBucket reads an object whole whose info has reached a replica, and whose chunks have not", async () => {
  await using replica = await startLagging();
  await using others = new ObjectServer.Stores(replica.urls);
  for (const size of [1_000, 200_000, 1_000_000]) {
    const data = randomBytes(size);
    const { chunks } = (await others.objectBucket("b").put("new", data))!;
    for (let missing = 1; missing <= chunks; missing++) {
      await replica.freeze();
      const [info] = (await Array.fromAsync(others.objectBucket("b").list())).filter(({ name }) => name === "new");
      for (let i = 0; i < missing; i++) replica.rewind(`.C.${info.nuid}`);
      await using stores = new ObjectServer.Stores(replica.urls);
      const bucket = stores.objectBucket("b");
      assertBytes(await bucket.get("new"), data);
      assertBytes(await new Response(await bucket.getStream("new")).bytes(), data);
      assertGreater(replica.answered, 0);
    }
  }
});

Deno.test("ObjectBucket with consistency 'leader' reads what others have confirmed, whatever a replica has", async () => {
  await using replica = await startLagging();
  await using stores = new ObjectServer.Stores(replica.urls);
  await using others = new ObjectServer.Stores(replica.urls);
  await others.objectBucket("b").put("old", "second");
  assertEquals(await stores.objectBucket("b").getText("old"), "first");
  const bucket = stores.objectBucket("b", { consistency: "leader" });
  assertEquals((await bucket.info("old"))?.size, 6);
  assertEquals(await bucket.getText("old"), "second");
});

Deno.test("storeHealthcheck is seen by loadHealthcheck at each of three replicas", async () => {
  await using cluster = await startNatsCluster();
  const wrong: string[] = [];
  for (const server of cluster.urls) {
    await using stores = new ObjectServer.Stores(server, {
      env: (name) => name.endsWith("REPLICAS") ? "3" : undefined,
    });
    await waitUntil(async () => await stores.storeHealthcheck("first", "{}") !== null);
    let busy = true;
    const others = Array.from({ length: 8 }, async (_, n) => {
      while (busy) await stores.storeHealthcheck(`other ${n}`, "x".repeat(2_000));
    });
    for (let i = 1; i <= 100; i++) {
      if (await stores.storeHealthcheck("k", `${i}`) === null) continue;
      const text = await stores.loadHealthcheck("k");
      if (text !== `${i}`) wrong.push(`${i}: ${text}`);
    }
    busy = false;
    await Promise.all(others);
  }
  assertEquals(wrong, []);
});
