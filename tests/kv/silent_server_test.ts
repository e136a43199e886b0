import { assertEquals } from "@std/assert";
import { JetStreamStores, type KvBucket } from "../../mod.ts";
import { startNatsCluster } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { suspend } from "../_support/suspend.ts";
import { waitUntil } from "../_support/wait_until.ts";

Deno.test("KvBucket repeats no unguarded write that a silent server may still read, and store over later ones", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using owner = new KvStores({ servers: cluster.urls, timeout: 60_000 });
  await owner.kvBucket("values").put("k", "before");
  const { cluster: { leader } } = await owner.api<{ cluster: { leader: string } }>("STREAM.INFO.KV_values");
  // They have no part in the bucket: once one of them is silent, another one would confirm at once what is repeated.
  const others = cluster.servers.filter(({ name }) => name !== leader).map(({ url }) => url);
  const writes = [
    (bucket: KvBucket) => bucket.put("k", "silent"),
    (bucket: KvBucket) => bucket.delete("k"),
    (bucket: KvBucket) => bucket.purge("k"),
  ];
  for (const write of writes) {
    await using stores = new JetStreamStores({ servers: others, timeout: 60_000, pingInterval: 300, logger: false });
    const bucket = stores.kvBucket("values");
    await waitUntil(async () => await bucket.put("k", "before") !== null);
    const server = cluster.servers.find(({ name }) => name === stores.connectionInfo()?.serverName)!;
    await suspend(server);
    assertEquals(await write(bucket), null);
    server.resume();
  }
});
