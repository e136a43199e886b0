import { assert, assertEquals } from "@std/assert";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { startNatsCluster } from "../../src/testing/mod.ts";
import { ObjectServer } from "./_object_server.ts";
import { assertRaceVersion, raceVersion } from "./_race_version.ts";

Deno.test("ObjectBucket with replicas gives whole versions while writers at two servers replace the objects, whoever leads", async () => {
  await using cluster = await startNatsCluster();
  await using server = await ObjectServer.over(cluster.servers[0]);
  const [second, third] = cluster.urls.slice(1);
  await using others = new ObjectServer.Stores(second);
  await using readers = new ObjectServer.Stores(third);
  const options = { replicas: 3 };
  const writers = [server.bucket("race", options), others.objectBucket("race", options)];
  const names = ["a", "b", "c"];
  // An info with this guard that is outrun would end the stream, on all its replicas.
  let [heard, guarded] = [0, 0];
  server.nc.subscribe("$O.race.M.>", {
    callback: (_, { headers }) => {
      heard++;
      if (headers?.has("Nats-Expected-Last-Msg-Id")) guarded++;
    },
  });
  await server.nc.flush();
  const confirmed = [0, 0];
  for (const name of names) assert(await writers[0].put(name, raceVersion("w0", 0)));
  let over = false;
  const writing = writers.map(async (writer, i) => {
    for (let n = 1; !over; n++) if (await writer.put(names[n % 3], raceVersion(`w${i}`, n))) confirmed[i]++;
  });
  let read = 0;
  const reading = (async () => {
    for (; !over; read++) {
      const data = await readers.objectBucket("race").get(names[read % 3]);
      // While there is no leader there may be no answer.
      if (data) assertRaceVersion(data);
    }
  })();
  for (let election = 0; election < 3; election++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    // There may be no leader yet that could step down.
    await waitUntil(() => server.api("STREAM.LEADER.STEPDOWN.OBJ_race").then(() => true, () => false));
  }
  await waitUntil(() => [...confirmed, read, heard].every((count) => count > 3));
  over = true;
  await Promise.all([...writing, reading]);
  assertEquals(guarded, 0);

  // What a change of leader has left open is settled by the next writes.
  for (const writer of writers) {
    for (const name of names) assertEquals((await writer.put(name, raceVersion("last", 0)))?.name, name);
  }
  for (const name of names) assertRaceVersion((await writers[1].get(name))!);
  // A removal that got no answer is made again behind a later write.
  await waitUntil(async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    if ((await server.contents("race")).orphans.length === 0) return true;
    for (const writer of writers) await writer.put("a", raceVersion("last", 1));
    return false;
  }, 60_000);
  await server.assertClean("race");
});

Deno.test("ObjectBucket with replicas repeats a removal of chunks that gets no answer, without another write", async () => {
  await using cluster = await startNatsCluster();
  await using server = await ObjectServer.over(cluster.servers[0]);
  let removals = 0;
  await using proxy = new Proxy(cluster.urls[0], {
    lose: (subject) => subject.includes("STREAM.PURGE.OBJ_lost") && removals++ === 0,
  });
  await using stores = new ObjectServer.Stores(proxy.url);
  const bucket = stores.objectBucket("lost", { replicas: 3 });
  for (const n of [1, 2]) assert(await bucket.put("a", raceVersion("w0", n)));
  await server.assertClean("lost");
  assert(removals >= 2);
});
