import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError, type JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";

/** All the names that there are, each list sorted. */
async function namesOf(stores: JetStreamStores) {
  const sorted = async (names: AsyncIterable<string>) => (await Array.fromAsync(names)).sort();
  return {
    kv: await sorted(stores.kvBuckets()),
    object: await sorted(stores.objectBuckets()),
    queues: await sorted(stores.jobQueues()),
  };
}

Deno.test("JetStreamStores.kvBuckets, objectBuckets and jobQueues list their own kind, whoever made it, and nothing else", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  assertEquals(await namesOf(stores), { kv: [], object: [], queues: [] });

  await stores.storeKV("k", "v");
  await stores.kvBucket("same").put("k", "v");
  await stores.storeHealthcheck("https://a", "{}");
  await stores.objectBucket("same").put("n", "data");
  await stores.publishJob("same", 1);
  await stores.publishJob("checks", 1, { id: "job", keepResult: 60_000 });
  await using _consumer = await stores.consumeJobs("checks", () => "done");
  assertEquals(await stores.jobQueue("checks").waitFor("job", { timeout: 10_000 }), "done");
  await stores.createStream({ name: "KV_foreign", subjects: ["$KV.foreign.>"], storage: "memory" });
  await stores.createStream({ name: "OBJ_foreign", subjects: ["$O.foreign.C.>", "$O.foreign.M.>"], storage: "memory" });
  // Named like a bucket, and with the subjects of one: neither is one.
  await stores.createStream({ name: "KV_other", subjects: ["other.>"], storage: "memory" });
  await stores.createStream({ name: "other", subjects: ["$KV.other.>", "$O.other.>"], storage: "memory" });

  assertEquals(await namesOf(stores), {
    kv: ["foreign", "same", "supercheck_kv", "wq_checks"],
    object: ["foreign", "same", "supercheck"],
    queues: ["checks", "same"],
  });
  await stores.kvBucket("same").destroy();
  await stores.jobQueue("same").destroy();
  const { kv, object, queues } = await namesOf(stores);
  assertEquals([kv.includes("same"), object.includes("same"), queues.includes("same")], [false, true, false]);
});

Deno.test("JetStreamStores.kvBuckets lists more buckets than one answer of the server holds", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const expected = Array.from({ length: 1_030 }, (_, n) => `bucket_${n}`).sort();
  for (let begin = 0; begin < expected.length; begin += 100) {
    await Promise.all(
      expected.slice(begin, begin + 100).map((name) =>
        stores.createStream({
          name: `KV_${name}`,
          subjects: [`$KV.${name}.>`],
          storage: "memory",
        })
      ),
    );
  }
  assertEquals((await namesOf(stores)).kv, expected);
});

Deno.test("JetStreamStores.kvBuckets, objectBuckets and jobQueues throw without a connection, and when it is lost", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url, timeout: 300 });
  await using none = new KvStores();
  await stores.storeKV("k", "v");
  await server.kill();
  for (const away of [none, stores]) {
    for (const list of [() => away.kvBuckets(), () => away.objectBuckets(), () => away.jobQueues()]) {
      const error = await assertRejects(() => Array.fromAsync(list()), JetStreamStoreError, "cannot be read");
      assertEquals(error.code, "disconnected");
    }
  }
});
