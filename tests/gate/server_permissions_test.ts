import { assertEquals, assertRejects } from "@std/assert";
import { JobFailedError } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { QueueStores } from "../queue/_queue_stores.ts";

const NAMES = { object: "supercheck", kv: "supercheck_kv", queue: "checks" };

/** The subjects that README's table names, of one of its columns, for the buckets and the queue of this test. */
async function subjects(column: "publish" | "subscribe"): Promise<string[]> {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const table = readme.slice(readme.indexOf("| for ")).split("\n\n")[0];
  const rows = table.split("\n").slice(2).map((row) => row.split(" | "));
  const of = (row: number, cell: number, fill: (text: string) => string = (text) => text) =>
    [...rows[row][cell].matchAll(/`([^`]+)`/g)].map(([, text]) => fill(text));
  const { object, kv, queue } = NAMES;
  const fills = [
    (text: string) => text.replaceAll("<bucket>", object),
    (text: string) => text.replaceAll("<bucket>", kv),
    (text: string) => text.replaceAll("<queue>", queue),
  ];
  const streams = fills.flatMap((fill, part) => of(part + 2, 0, fill));
  const cell = column === "publish" ? 1 : 2;
  return [
    ...of(0, cell),
    ...streams.flatMap((stream) => of(1, cell, (text) => text.replaceAll("<stream>", stream))),
    ...fills.flatMap((fill, part) => of(part + 2, cell, fill)),
  ];
}

Deno.test("README names all the permissions that a user of buckets and queues needs", async () => {
  const permissions = { publish: await subjects("publish"), subscribe: await subjects("subscribe") };
  assertEquals([permissions.publish.length, permissions.subscribe.length], [5 * 7 + 8, 4]);
  await using server = await startNatsServer({
    config: `authorization { users: [{ user: ann, password: x, permissions: ${JSON.stringify(permissions)} }] }`,
  });
  await using stores = new QueueStores(server.url, { user: "ann", password: "x" });

  const objects = stores.objectBucket(NAMES.object);
  await stores.storeHealthcheck("a", "{}");
  assertEquals(await stores.loadHealthcheck("a"), "{}");
  assertEquals((await Array.fromAsync(objects.list())).length, 1);
  assertEquals([await objects.delete("a"), (await objects.status())?.ttl], [true, 30_000]);

  const kv = stores.kvBucket(NAMES.kv);
  assertEquals([await stores.storeKV("a", "1"), (await stores.loadKV("a"))?.val], [1, "1"]);
  assertEquals((await kv.getMany(["a"]))?.size, 1);
  assertEquals(await Array.fromAsync(kv.keys()), ["a"]);
  for await (const { revision } of kv.watch()) {
    assertEquals(revision, 1);
    break;
  }
  assertEquals([await kv.update("a", "2", 1), await kv.delete("a"), await kv.purge("a")], [2, true, true]);

  const queue = stores.jobQueue(NAMES.queue);
  const stop = new AbortController();
  const told: string[] = [];
  const following = (async () => {
    for await (const { type } of queue.events({ signal: stop.signal })) told.push(type);
  })();
  await using _worker = queue.consume(async (job) => {
    await job.progress(1);
    if (job.data === "bad") throw new Error("bad");
    return job.data;
  }, { maxAttempts: 1 });
  await queue.publish("good", { id: "good", keepResult: 60_000 });
  await queue.publish("bad", { id: "bad" });
  assertEquals(await queue.waitFor("good", { timeout: 20_000 }), "good");
  await assertRejects(() => queue.waitFor("bad", { timeout: 20_000 }), JobFailedError, "bad");
  assertEquals((await Array.fromAsync(queue.deadLetters())).map(({ id }) => id), ["bad"]);
  assertEquals([await queue.redrive("bad"), await queue.pause(), await queue.resume()], [1, true, true]);
  await queue.publish(1, { key: "k" });
  await queue.publish(1, { id: "later", delay: 60_000 });
  assertEquals([await queue.cancel("later"), await queue.limitActive({ low: 1 })], [true, true]);
  assertEquals([await queue.schedule("s", { every: 60_000, data: 1 }), await queue.unschedule("s")], [true, true]);
  assertEquals((await queue.publishMany([{ data: 1 }, { data: 2 }], { atomic: true }))?.length, 2);
  assertEquals(typeof await queue.purge(), "number");
  stop.abort();
  await following;
  assertEquals(told.includes("dead"), true);
  assertEquals(await Promise.all([queue.destroy(), kv.destroy(), objects.destroy()]), [true, true, true]);
  assertEquals(stores.log.filter((line) => !/^(Connected|Job bad of |Worker of )/.test(line)), []);
});
