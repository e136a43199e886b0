import { assert, assertEquals } from "@std/assert";
import { startNatsCluster } from "../../src/testing/mod.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";

Deno.test("KvBucket with replicas lets one of many create, and knows its own write when the confirmation was lost", async () => {
  await using cluster = await startNatsCluster();
  await using stores = new KvStores({ servers: cluster.urls });
  await using proxy = new Proxy(cluster.urls[0]);
  await using lossy = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("guarded", { replicas: 3 });
  await waitUntil(async () => await bucket.put("first", "v") !== null);
  assertEquals((await bucket.status())?.replicas, 3);

  for (let round = 0; round < 5; round++) {
    const key = `lock ${round % 2}`;
    const begun = performance.now();
    const results = await Promise.all(Array.from({ length: 16 }, (_, i) => bucket.create(key, `${i}`)));
    const winner = results.findIndex((result) => typeof result === "number");
    // What was sent twice, as its answer took a second, cannot know whether it was replaced.
    const unsure = results.filter((result) => result === null).length;
    assert(unsure === 0 || performance.now() - begun > 1_000);
    assertEquals(results.filter((result) => result === false).length, 15 - unsure);
    assertEquals((await bucket.get(key))?.text(), `${winner}`);
    await bucket.delete(key);
  }

  let lost = 0;
  const drop = (_subject: string, payload: string) => payload.includes('"stream":"KV_guarded"') && lost++ === 0;
  proxy.tampering.drop = drop;
  const created = await lossy.kvBucket("guarded").create("k", "mine");
  assertEquals([lost, created], [2, (await bucket.get("k"))?.revision]);
  lost = 0;
  const updated = await lossy.kvBucket("guarded").update("k", "mine too", created as number);
  assertEquals([lost, updated], [2, (created as number) + 1]);
});

Deno.test("KvBucket.update with replicas loses no increment while the leader moves and dies", async () => {
  await using cluster = await startNatsCluster();
  await using stores = new KvStores({ servers: cluster.urls });
  const bucket = stores.kvBucket("counted", { replicas: 3 });
  await waitUntil(async () => await bucket.put("n", "0") !== null);
  let confirmed = 0;
  let unconfirmed = 0;
  const [end, latest] = [performance.now() + 6_000, performance.now() + 60_000];
  const increment = async () => {
    while (performance.now() < (confirmed > 100 ? end : latest)) {
      const entry = await bucket.get("n");
      if (entry === null) continue;
      const result = await bucket.update("n", String(Number(entry.text()) + 1), entry.revision);
      if (typeof result === "number") confirmed++;
      if (result === null) unconfirmed++;
    }
  };
  const disturb = async () => {
    await stores.api("STREAM.LEADER.STEPDOWN.KV_counted");
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const { cluster: place } = await stores.api<{ cluster: { leader: string } }>("STREAM.INFO.KV_counted");
    const leader = cluster.servers.find(({ name }) => name === place.leader);
    await leader?.kill();
  };
  await Promise.all([increment(), increment(), increment(), disturb()]);
  assert(confirmed > 100, `${confirmed} confirmed`);
  let stored = 0;
  // A replica that lags behind may answer first.
  await waitUntil(async () => (stored = Number((await bucket.get("n"))?.text())) >= confirmed);
  assert(stored <= confirmed + unconfirmed, `${stored} of ${confirmed} + ${unconfirmed}`);
});

Deno.test("KvBucket with a cache reads what it has written also where a replica lags behind", async () => {
  await using cluster = await startNatsCluster();
  await using stores = new KvStores({ servers: cluster.urls });
  await waitUntil(async () => await stores.kvBucket("cached", { replicas: 3 }).put("first", "v") !== null);
  const older: string[] = [];
  for (let round = 0; round < 20; round++) {
    await using other = new KvStores({ servers: cluster.urls[round % 3] });
    const bucket = other.kvBucket("cached", { cache: true });
    await bucket.put("first", "v");
    const write = async (_: unknown, writer: number) => {
      for (let i = 0; i < 10; i++) {
        // A mirror that has passed them no longer asks the server.
        const key = `${round} ${writer} ${i}`;
        const revision = await bucket.put(key, "v");
        const entry = await bucket.get(key);
        if (revision !== null && (entry?.revision ?? 0) < revision) older.push(key);
      }
    };
    // The first read begins the mirror.
    await Promise.all([bucket.get("first"), ...Array.from({ length: 30 }, write)]);
  }
  assertEquals(older, []);
});
