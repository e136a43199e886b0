import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil, within } from "../_support/wait_until.ts";
import { ObjectServer } from "./_object_server.ts";

/** Replaces objects as fast as it goes; returns how many purges the server was asked for within that time and two pauses more. */
async function flood(
  server: ObjectServer,
  bucket: string,
  options: { ttl?: number; maxBytes?: number },
  writes: number,
) {
  // A purge without an answer is sent again.
  const purged = new Set<string>();
  const listening = server.nc.subscribe(`$JS.API.STREAM.PURGE.OBJ_${bucket}`, {
    callback: (_, message) => void purged.add(message.string()),
  });
  await server.nc.flush();
  const began = performance.now();
  const objects = server.bucket(bucket, options);
  let left = writes;
  await Promise.all(Array.from({ length: 100 }, async (_, name) => {
    while (left-- > 0) assertEquals((await objects.put(`object ${name}`, `${left}`))?.bucket, bucket);
  }));
  return {
    purges: () => purged.size,
    took: () => performance.now() - began,
    stop: () => listening.unsubscribe(),
  };
}

Deno.test("ObjectBucket leaves to a short TTL what a flood of writes leaves over, and then nothing is left", async () => {
  await using server = await ObjectServer.start();
  const { purges, took, stop } = await flood(server, "flood", { ttl: 5_000 }, 30_000);
  await waitUntil(async () => (await server.contents("flood")).orphans.length === 0);
  // Some are removed, as ever.
  assertGreater(purges(), 100);
  // 50 each 20 ms, and 8 at once.
  assertLess(purges(), Math.min(29_900, 60 * (took() / 20 + 2)));
  stop();
});

Deno.test("ObjectBucket removes all that a flood of writes leaves over where it would stay, or keep other objects out", async () => {
  await using server = await ObjectServer.start();
  for (const [bucket, options] of Object.entries({ stays: {}, limited: { ttl: 30_000, maxBytes: 50_000_000 } })) {
    const { purges, stop } = await flood(server, bucket, options, 5_000);
    await waitUntil(() => purges() === 4_900);
    await server.assertClean(bucket);
    stop();
  }
});

Deno.test("ObjectBucket makes a removal of chunks again that the server does not answer, and close() does not wait for it", async () => {
  await using server = await ObjectServer.start();
  let purges = 0;
  await using proxy = new Proxy(server.server.url, {
    lose: (subject) => subject.includes("STREAM.PURGE") && ++purges <= 3,
  });
  const stores = new JetStreamStores({ servers: proxy.url, timeout: 2_000, logger: false });
  const objects = stores.objectBucket("silent");
  for (const version of ["1", "2", "3", "4"]) {
    await waitUntil(async () => (await objects.put("a", version))?.size === 1);
  }
  await waitUntil(() => purges >= 3);
  await waitUntil(async () => {
    await objects.put("a", "5");
    return (await server.contents("silent")).orphans.length === 0;
  });
  proxy.tampering.lose = (subject) => subject.includes("STREAM.PURGE");
  await objects.put("a", "6");
  await within(stores.close({ deadline: 600_000 }));
});
