import { assertEquals, assertGreater } from "@std/assert";
import { startNatsCluster } from "../../src/testing/mod.ts";
import { LaggingReplica } from "../_support/lagging_replica.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { restrictedReader } from "../_support/restricted_reader.ts";

/** A bucket with some keys, read through a replica that has nothing newer. */
async function startLagging(config?: string) {
  const replica = await LaggingReplica.start("KV_b", config);
  await using stores = new KvStores({ servers: replica.urls });
  const bucket = stores.kvBucket("b", { history: 3 });
  await waitUntil(async () => await bucket.put("old", "1") !== null);
  await bucket.put("kept", "1");
  await replica.freeze();
  return replica;
}

Deno.test("KvBucket reads what its process has written where the replica that answers lags behind, by whichever handle", async () => {
  await using replica = await startLagging();
  await using stores = new KvStores({ servers: replica.urls });
  const [bucket, other] = [stores.kvBucket("b"), stores.kvBucket("b")];
  const texts = async () =>
    Array.from(await other.getMany(["old", "kept", "new"]) ?? [], ([key, entry]) => `${key}=${entry.text()}`).sort();
  assertEquals((await bucket.get("old"))?.text(), "1");
  assertGreater(replica.answered, 0);

  await bucket.put("old", "2");
  assertEquals((await other.get("old"))?.text(), "2");
  assertEquals(await texts(), ["kept=1", "old=2"]);
  await bucket.create("new", "1");
  assertEquals((await other.get("new"))?.text(), "1");
  assertEquals(await texts(), ["kept=1", "new=1", "old=2"]);
  await bucket.update("new", "2", (await other.get("new"))!.revision);
  assertEquals((await other.get("new"))?.text(), "2");
  assertEquals(await Array.fromAsync(other.history("new"), (entry) => entry.text()), ["1", "2"]);
  await bucket.delete("old");
  assertEquals(await other.get("old"), null);
  assertEquals(await texts(), ["kept=1", "new=2"]);
  await bucket.purge("new");
  assertEquals(await other.get("new"), null);
  // What nobody here has touched is read from the replica all the same.
  const before = replica.answered;
  assertEquals((await bucket.get("kept"))?.text(), "1");
  assertEquals(replica.answered, before + 1);
});

Deno.test("KvBucket never reads less than it has read, and sees what has refused a create or an update", async () => {
  await using replica = await startLagging();
  await using stores = new KvStores({ servers: replica.urls });
  await using others = new KvStores({ servers: replica.urls });
  const [bucket, other] = [stores.kvBucket("b"), others.kvBucket("b")];
  const revision = await other.put("old", "2");
  await replica.freeze();
  assertEquals((await bucket.get("old"))?.text(), "2");
  // Another replica, which is even older.
  replica.rewind("old");
  assertEquals((await bucket.get("old"))?.text(), "2");
  const newest = await other.put("old", "3");
  assertEquals(await bucket.update("old", "4", revision!), false);
  assertEquals((await bucket.get("old"))?.revision, newest);
  await other.put("taken", "1");
  assertEquals(await bucket.create("taken", "2"), false);
  assertEquals((await bucket.get("taken"))?.text(), "1");
});

Deno.test("KvBucket with consistency 'leader' reads what others have confirmed, whatever a replica has", async () => {
  await using replica = await startLagging();
  await using stores = new KvStores({ servers: replica.urls });
  await using others = new KvStores({ servers: replica.urls });
  await others.kvBucket("b").put("old", "2");
  assertEquals((await stores.kvBucket("b").get("old"))?.text(), "1");
  const bucket = stores.kvBucket("b", { consistency: "leader" });
  const before = replica.answered;
  assertEquals((await bucket.get("old"))?.text(), "2");
  assertEquals((await bucket.getMany(["old"]))?.get("old")?.text(), "2");
  assertEquals(replica.answered, before);
  // And from then on no handle of the process reads less.
  assertEquals((await stores.kvBucket("b").get("old"))?.text(), "2");
});

Deno.test("KvBucket reads its own writes from three replicas at each server, lists among them", async () => {
  await using cluster = await startNatsCluster();
  const wrong: string[] = [];
  for (const servers of cluster.urls) {
    await using stores = new KvStores({ servers });
    const bucket = stores.kvBucket("b", { replicas: 3 });
    await waitUntil(async () => await bucket.put("first", "v") !== null);
    let busy = true;
    const others = Array.from({ length: 8 }, async (_, n) => {
      while (busy) await bucket.put(`other${n}`, "x".repeat(2_000));
    });
    for (let i = 1; i <= 100; i++) {
      if (await bucket.put("k", `${i}`) === null) continue;
      const text = (await bucket.get("k"))?.text();
      if (text !== `${i}`) wrong.push(`get ${i}: ${text}`);
      if (i % 10 > 0) continue;
      const key = `listed.${i}`;
      if (await bucket.put(key, `${i}`) === null) continue;
      if (!(await Array.fromAsync(bucket.keys("listed.*"))).includes(key)) wrong.push(`keys ${key}`);
      if (await bucket.delete(key) === null) continue;
      if ((await Array.fromAsync(bucket.keys("listed.*"))).includes(key)) wrong.push(`keys after delete ${key}`);
    }
    busy = false;
    await Promise.all(others);
  }
  assertEquals(wrong, []);
});

Deno.test("KvBucket gives what a replica has to a user that may not ask the leader", async () => {
  await using replica = await startLagging(restrictedReader('publish { deny: "$JS.API.STREAM.MSG.GET.>" }'));
  await using stores = new KvStores({ servers: replica.urls.map((url) => url.replace("//", "//reader:reader@")) });
  const bucket = stores.kvBucket("b");
  await bucket.put("old", "2");
  assertEquals((await bucket.get("old"))?.text(), "1");
  assertEquals((await bucket.getMany(["old", "kept"]))?.get("old")?.text(), "1");
  assertEquals((await bucket.get("kept"))?.text(), "1");
});
