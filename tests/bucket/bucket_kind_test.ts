import { connect } from "@nats-io/transport-node";
import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { restrictedReader } from "../_support/restricted_reader.ts";

/** A server with stores over it and what another client asks of its API. */
async function start(config?: string) {
  const server = await startNatsServer({ config });
  const nc = await connect({ servers: server.url });
  const stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog(), env: () => undefined });
  return {
    server,
    stores,
    nc,
    async api<T = Record<string, unknown>>(call: string, body: object = {}): Promise<T> {
      const answer = (await nc.request(`$JS.API.${call}`, JSON.stringify(body), { timeout: 10_000 })).json<
        T & { error?: unknown }
      >();
      if (answer.error) throw new Error(JSON.stringify(answer.error));
      return answer;
    },
    async [Symbol.asyncDispose]() {
      await stores.close();
      await nc.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

Deno.test("reads of a stream that is no bucket throw 'wrong_kind' as writes do, each time", async () => {
  await using open = await start();
  for (const allow_direct of [true, false]) {
    const name = `orders_${allow_direct}`;
    for (const stream of [`KV_${name}`, `OBJ_${name}`]) {
      await open.api(`STREAM.CREATE.${stream}`, { name: stream, subjects: [`${stream}.>`], allow_direct });
    }
    const [kv, objects] = [open.stores.kvBucket(name), open.stores.objectBucket(name)];
    const calls: Record<string, () => Promise<unknown>> = {
      "KvBucket.get": () => kv.get("a"),
      "KvBucket.get again": () => kv.get("a"),
      "KvBucket.getMany": () => kv.getMany(["a", "b"]),
      "KvBucket.keys": () => Array.fromAsync(kv.keys()),
      "KvBucket.entries": () => Array.fromAsync(kv.entries()),
      "KvBucket.history": () => Array.fromAsync(kv.history("a")),
      "KvBucket.watch": () => Array.fromAsync(kv.watch()),
      "KvBucket.status": () => kv.status(),
      "KvBucket.put": () => kv.put("a", "v"),
      "KvBucket.delete": () => kv.delete("a"),
      "KvBucket with a cache": () => open.stores.kvBucket(name, { cache: true }).get("a"),
      "ObjectBucket.get": () => objects.get("a"),
      "ObjectBucket.getText": () => objects.getText("a"),
      "ObjectBucket.getStream": () => objects.getStream("a"),
      "ObjectBucket.info": () => objects.info("a"),
      "ObjectBucket.list": () => Array.fromAsync(objects.list()),
      "ObjectBucket.watch": () => Array.fromAsync(objects.watch()),
      "ObjectBucket.put": () => objects.put("a", "v"),
      "ObjectBucket.delete": () => objects.delete("a"),
    };
    for (const [call, make] of Object.entries(calls)) {
      const error = await assertRejects(make, JetStreamStoreError, `_${name} is no `, call);
      assertEquals(error.code, "wrong_kind", call);
    }
  }
});

Deno.test("reads that find nothing look once in a session what the stream is, and not at all after a write", async () => {
  await using open = await start();
  let looks = 0;
  open.nc.subscribe("$JS.API.STREAM.INFO.>", { callback: () => void looks++ });
  await open.nc.flush();
  await open.stores.kvBucket("b").put("k", "v");
  await open.stores.objectBucket("b").put("o", "v");
  const before = looks;
  const options = { servers: open.server.url, logger: new CollectedLog(), env: () => undefined };
  await using reader = new JetStreamStores(options);
  for (const stores of [open.stores, reader]) {
    for (let round = 0; round < 5; round++) {
      const [kv, objects] = [stores.kvBucket("b"), stores.objectBucket("b")];
      assertEquals((await kv.get("k"))?.text(), "v");
      assertEquals(await objects.getText("o"), "v");
      assertEquals(looks, before);
    }
  }
  for (const [stores, more] of [[open.stores, 0], [reader, 2]] as const) {
    for (let round = 0; round < 5; round++) {
      const [kv, objects] = [stores.kvBucket("b"), stores.objectBucket("b")];
      assertEquals([await kv.get("none"), await objects.get("none")], [null, null]);
      assertEquals((await kv.getMany(["none", "k"]))?.size, 1);
    }
    assertEquals(looks, before + more);
  }
});

Deno.test("a user that may not ask what a stream is reads all the same", async () => {
  await using open = await start(restrictedReader('publish { allow: "$JS.API.DIRECT.GET.>" }'));
  await open.stores.kvBucket("b").put("k", "v");
  await using reader = new JetStreamStores({
    servers: open.server.url,
    user: "reader",
    password: "reader",
    logger: new CollectedLog(),
    env: () => undefined,
  });
  const bucket = reader.kvBucket("b");
  assertEquals([await bucket.get("none"), await bucket.get("none")], [null, null]);
  assertEquals((await bucket.getMany(["none", "k"]))?.size, 1);
  assertEquals((await bucket.get("k"))?.text(), "v");
});

Deno.test("mirrors of buckets are read, also those of mirrors, and writes to them say what they are", async () => {
  await using open = await start();
  const [kv, objects] = [open.stores.kvBucket("plans", { history: 3 }), open.stores.objectBucket("plans")];
  for (const [key, value] of [["a", "1"], ["a", "2"], ["b", "1"], ["https://x.y", "1"]]) await kv.put(key, value);
  await objects.put("o", "an object");
  await objects.put("large", "x".repeat(300_000));
  const origins = { copy: "plans", second: "copy" };
  for (const [name, origin] of Object.entries(origins)) {
    for (const family of ["KV_", "OBJ_"]) {
      const mirror = { name: family + origin };
      // A mirror on a server of 2.11 leaves out what it may not roll up.
      const config = { name: family + name, mirror, allow_direct: true, mirror_direct: true, allow_rollup_hdrs: true };
      await open.api(`STREAM.CREATE.${family}${name}`, config);
    }
  }
  for (const [name, from] of Object.entries(origins)) {
    for (const stream of [`KV_${name}`, `OBJ_${name}`]) {
      await waitUntil(async () => {
        const [mirror, origin] = await Promise.all(
          [stream, stream.replace(name, from)].map((stream) =>
            open.api<{ state: { last_seq: number } }>(`STREAM.INFO.${stream}`)
          ),
        );
        return mirror.state.last_seq === origin.state.last_seq;
      });
    }
    const [kv, objects] = [open.stores.kvBucket(name), open.stores.objectBucket(name)];
    assertEquals((await kv.get("a"))?.text(), "2");
    assertEquals(await kv.get("none"), null);
    const many = await open.stores.kvBucket(name).getMany(["a", "b", "none", "https://x.y"]);
    assertEquals(Array.from(many!, ([key, entry]) => `${key}=${entry.text()}`).sort(), ["a=2", "b=1", "https://x.y=1"]);
    assertEquals((await Array.fromAsync(kv.keys())).sort(), ["a", "b", "https://x.y"]);
    assertEquals(await Array.fromAsync(kv.history("a"), (entry) => entry.text()), ["1", "2"]);
    for await (const entry of kv.watch("b")) {
      assertEquals([entry.key, entry.text()], ["b", "1"]);
      break;
    }
    const cached = open.stores.kvBucket(name, { cache: true });
    await waitUntil(async () => (await cached.get("a"))?.text() === "2");
    assertEquals((await kv.status())?.bucket, name);

    assertEquals(await objects.getText("o"), "an object");
    assertEquals((await objects.get("large"))?.length, 300_000);
    assertEquals((await Array.fromAsync(objects.list(), (info) => info.name)).sort(), ["large", "o"]);
    for await (const info of objects.watch()) {
      assertEquals(info.bucket, "plans");
      break;
    }
    const writes: Record<string, () => Promise<unknown>> = {
      put: () => kv.put("a", "3"),
      create: () => kv.create("c", "1"),
      update: () => kv.update("a", "3", 2),
      delete: () => kv.delete("a"),
      purge: () => kv.purge("a"),
      destroy: () => kv.destroy(),
      "ObjectBucket.put": () => objects.put("o", "new"),
      "ObjectBucket.putStream": () => objects.putStream("o", new Blob(["new"]).stream()),
      "ObjectBucket.delete": () => objects.delete("o"),
      "ObjectBucket.destroy": () => objects.destroy(),
    };
    for (const [write, make] of Object.entries(writes)) {
      const error = await assertRejects(make, JetStreamStoreError, "is the mirror of the ", `${name} ${write}`);
      assertEquals(error.code, "wrong_kind");
    }
  }
  assertEquals((await kv.get("a"))?.text(), "2");
  assertEquals(await objects.getText("o"), "an object");
});
