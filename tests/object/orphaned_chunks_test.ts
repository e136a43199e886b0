import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { waitUntil } from "../_support/wait_until.ts";
import { ObjectServer } from "./_object_server.ts";

/** Replaces objects as fast as it goes; returns how many purges the server was asked for within that time and two pauses more. */
async function flood(
  server: ObjectServer,
  bucket: string,
  options: { ttl?: number; maxBytes?: number },
  writes: number,
) {
  let purges = 0;
  const listening = server.nc.subscribe(`$JS.API.STREAM.PURGE.OBJ_${bucket}`, { callback: () => void purges++ });
  const objects = server.bucket(bucket, options);
  let left = writes;
  await Promise.all(Array.from({ length: 100 }, async (_, name) => {
    while (left-- > 0) assertEquals((await objects.put(`object ${name}`, `${left}`))?.bucket, bucket);
  }));
  return { purges: () => purges, stop: () => listening.unsubscribe() };
}

Deno.test("ObjectBucket leaves to a short TTL what a flood of writes leaves over, and then nothing is left", async () => {
  await using server = await ObjectServer.start();
  const { purges, stop } = await flood(server, "flood", { ttl: 5_000 }, 30_000);
  await waitUntil(async () => (await server.contents("flood")).orphans.length === 0);
  // Some are removed, as ever.
  assertGreater(purges(), 100);
  assertLess(purges(), 29_000);
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
