import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** Whether a message is the server's word that something is stored (or refused). */
const isAck = (_subject: string, payload: string) => payload.includes('"stream":"KV_');

Deno.test("KvBucket.create and update know their own write when its confirmation was lost", async () => {
  await using server = await startNatsServer();
  await using direct = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("lossy");
  await bucket.put("first", "v");
  let lost = 0;
  proxy.tampering.drop = (subject, payload) => isAck(subject, payload) && lost++ === 0;
  const start = performance.now();
  assertEquals(await bucket.create("k", "created"), 2);
  assertEquals(lost, 2);
  lost = 0;
  assertEquals(await bucket.update("k", "updated", 2), 3);
  assertEquals(lost, 2);
  assertLess(performance.now() - start, 4_000);
  const entry = await direct.kvBucket("lossy").get("k");
  assertEquals([entry?.text(), entry?.revision], ["updated", 3]);
});

Deno.test("KvBucket.get asks again when its answer was lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("lossy");
  await bucket.put("k", "v");
  let lost = 0;
  proxy.tampering.drop = (_, payload) => payload.endsWith("v\r\n") && lost++ === 0;
  assertEquals((await bucket.get("k"))?.text(), "v");
  assertEquals(lost, 2);
});

Deno.test("KvBucket.getMany asks again when an answer was lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("lossy");
  for (const key of ["a", "b", "c"]) await bucket.put(key, `value of ${key}`);
  let lost = 0;
  proxy.tampering.drop = (subject) => subject.startsWith("_INBOX.") && lost++ === 3;
  const entries = await bucket.getMany(["a", "b", "c"]);
  assertEquals([...entries!.keys()].sort(), ["a", "b", "c"]);
  // The fourth message, which ends the answer, and at least as many again.
  assertGreater(lost, 7);
});

Deno.test("KvBucket.destroy is null when it is unknown whether this call removed the bucket", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("lossy");
  await bucket.put("k", "v");
  let lost = 0;
  proxy.tampering.drop = (_, payload) => {
    if (!payload.includes("stream_delete_response") || lost++ > 0) return false;
    setTimeout(() => proxy.cut(), 0);
    return true;
  };
  assertEquals(await bucket.destroy(), null);
  assertEquals(lost, 1);
  assertEquals(await bucket.destroy(), false);
});

Deno.test("KvBucket.create knows its own write when the connection broke before its confirmation", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("lossy");
  await bucket.put("first", "v");
  let lost = 0;
  proxy.tampering.drop = (subject, payload) => {
    if (!isAck(subject, payload) || lost++ > 0) return false;
    setTimeout(() => proxy.cut(), 0);
    return true;
  };
  assertEquals(await bucket.create("k", "v"), 2);
  assertEquals(lost, 2);
  assertEquals((await bucket.get("k"))?.revision, 2);
});

Deno.test("KvBucket.create and update tell null, not false, when another value may have replaced theirs", async () => {
  await using server = await startNatsServer();
  await using direct = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const [bucket, other] = [stores.kvBucket("lossy"), direct.kvBucket("lossy")];
  await bucket.put("first", "v");
  for (const call of [() => bucket.create("k", "mine"), () => bucket.update("first", "mine", 1)]) {
    const overwritten = Promise.withResolvers<void>();
    let [lost, isReplaced] = [0, false];
    proxy.tampering.drop = (subject, payload) => {
      if (!isAck(subject, payload) || lost++ > 0) return false;
      Promise.all([other.put("k", "theirs"), other.put("first", "theirs")]).then(() => {
        isReplaced = true;
        overwritten.resolve();
      });
      return true;
    };
    // It is sent again until it has an answer.
    proxy.tampering.lose = (subject) => lost > 0 && !isReplaced && subject.startsWith("$KV.");
    assertEquals(await call(), null);
    await overwritten.promise;
  }
});

Deno.test("KvBucket.put and delete are null when their confirmation is lost for good", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url, timeout: 5_000 });
  const bucket = stores.kvBucket("lossy");
  assertEquals(await bucket.put("k", "v"), 1);
  proxy.tampering.drop = isAck;
  const calls = [bucket.put("k", "w"), bucket.delete("l"), bucket.create("m", "w")];
  assertEquals(await Promise.all<unknown>(calls), [null, null, null]);
  proxy.tampering.drop = undefined;
  assertEquals((await bucket.get("k"))?.text(), "w");
});

Deno.test("KvBucket.create and update after a refused try go under another message id, which clusters of 2.11 would not take again", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("ids");
  await bucket.put("k", "v");
  let ids: string[] = [];
  proxy.tampering.lose = (_subject, payload) => {
    ids.push(...Array.from(payload.matchAll(/Nats-Msg-Id: (.*)\r\n/g), ([, id]) => id));
    return false;
  };
  for (const remove of [() => bucket.delete("k"), () => bucket.purge("k")]) {
    // What has no answer within a second is sent again, under its id.
    await waitUntil(async () => {
      await remove();
      ids = [];
      assertEquals(typeof await bucket.create("k", "again"), "number");
      return ids.length === new Set(ids).size;
    });
    assertEquals(ids.length, 2);
  }
  // What a cluster says of a message that it takes for one that is in flight, and what a leader says that has just stepped down.
  for (const error of [{ code: 400, err_code: 10158 }, { code: 503, description: "raft: not leader" }]) {
    let refused = 0;
    proxy.tampering.change = (_subject, payload) =>
      payload.includes("wrong last sequence") && refused++ === 0 ? JSON.stringify({ error }) : undefined;
    await waitUntil(async () => {
      const revision = (await bucket.get("k"))!.revision;
      [ids, refused] = [[], 0];
      const updated = await bucket.update("k", "newer", revision + 1);
      if (ids.length !== new Set(ids).size) return false;
      assertEquals(updated, false);
      return true;
    });
    assertEquals([refused, ids.length], [2, 2]);
  }
});

Deno.test("KvBucket.put is tried again when the leader has stepped down", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("led");
  await bucket.put("k", "v");
  let refused = 0;
  proxy.tampering.change = (_subject, payload) =>
    payload.startsWith('{"stream":"KV_led"') && refused++ === 0
      ? '{"error":{"code":503,"description":"raft: not leader"},"stream":"KV_led","seq":0}'
      : undefined;
  assertEquals(await bucket.put("k", "w"), 3);
  assertEquals(refused, 2);
});

Deno.test("KvBucket.delete and purge with a revision know their own marker when its confirmation was lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("lossy");
  for (const remove of ["delete", "purge"] as const) {
    const revision = (await bucket.put("k", "v"))!;
    let lost = 0;
    proxy.tampering.drop = (subject, payload) => {
      if (!isAck(subject, payload) || lost++ > 0) return false;
      setTimeout(() => proxy.cut(), 0);
      return true;
    };
    assertEquals(await bucket[remove]("k", { revision }), true);
    assertEquals(lost > 1, true);
    proxy.tampering.drop = undefined;
    assertEquals(await bucket.get("k"), null);
  }
});
