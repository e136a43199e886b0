import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import { openStores } from "../_support/open_stores.ts";
import { Proxy, type Tampering } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";

const isAck = (_subject: string, payload: string) => payload.includes('"stream":"KV_');

Deno.test("KvTransaction.commit stores all writes with consecutive revisions", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("together", { history: 5 });
  await bucket.put("old", "v");
  const result = await bucket.atomic().put("a", "1").put("b", new Uint8Array([50])).delete("old").put("a", "3")
    .commit();
  assertEquals(result, { ok: true, revision: 4 });
  assertEquals([(await bucket.get("a"))?.text(), (await bucket.get("a"))?.revision], ["3", 2]);
  assertEquals([(await bucket.get("b"))?.text(), (await bucket.get("b"))?.revision], ["2", 3]);
  assertEquals(await bucket.get("old"), null);
  assertEquals((await stores.config("together")).allow_atomic, true);
});

Deno.test("KvTransaction.commit stores nothing when a check does not hold, of a written key or of another one", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("together");
  const a = (await bucket.put("a", "1"))!;
  const b = (await bucket.put("b", "1"))!;
  const begin = () => bucket.atomic().put("a", "2").put("c", "2");
  assertEquals(await begin().check("a", a + 7).commit(), { ok: false });
  assertEquals(await begin().check("b", a).commit(), { ok: false });
  assertEquals(await begin().check("b", null).commit(), { ok: false });
  assertEquals(await begin().check("a", a).check("none", 3).commit(), { ok: false });
  assertEquals([(await bucket.get("a"))?.revision, await bucket.get("c")], [a, null]);
  assertEquals(await begin().check("a", a).check("b", b).commit(), { ok: true, revision: 4 });
  assertEquals(await begin().check("a", a).check("b", b).commit(), { ok: false });
});

Deno.test("KvTransaction.check takes null for a key that never had a value, was deleted or was purged", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("together");
  for (const key of ["deleted", "purged"]) await bucket.put(key, "v");
  await bucket.delete("deleted");
  await bucket.purge("purged");
  const all = (value: string) =>
    bucket.atomic().check("never", null).check("deleted", null).check("purged", null)
      .put("never", value).put("deleted", value).put("x", value);
  assertEquals(await all("1").commit(), { ok: true, revision: 7 });
  assertEquals(await all("2").commit(), { ok: false });
  assertEquals((await bucket.get("deleted"))?.text(), "1");
});

Deno.test("KvTransaction.commit of one write is a plain guarded publish, without a batch", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("single");
  assertEquals(await bucket.atomic().put("a", "1").commit(), { ok: true, revision: 1 });
  assertEquals(await bucket.atomic().check("a", 1).put("a", "2").commit(), { ok: true, revision: 2 });
  assertEquals(await bucket.atomic().check("a", 1).put("a", "3").commit(), { ok: false });
  assertEquals(await bucket.atomic().check("a", 2).put("b", "1").commit(), { ok: true, revision: 3 });
  assertEquals(await bucket.atomic().check("a", 1).put("b", "2").commit(), { ok: false });
  assertEquals(await bucket.atomic().check("b", 3).delete("b").commit(), { ok: true, revision: 4 });
  assertEquals(await bucket.atomic().check("b", null).put("b", "4").commit(), { ok: true, revision: 5 });
  assertEquals((await stores.config("single")).allow_atomic ?? false, false);
});

Deno.test("KvTransaction takes 1000 writes, and no more", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("many");
  const transaction = bucket.atomic();
  for (let i = 0; i < 1_000; i++) transaction.check(`${i}`, null).put(`${i}`, "v");
  assertThrows(() => transaction.put("one more", "v"), RangeError, "≤ 1000 writes");
  transaction.put("7", "the last one counts");
  assertEquals(await transaction.commit(), { ok: true, revision: 1_000 });
  assertEquals((await bucket.get("7"))?.text(), "the last one counts");
  assertEquals((await bucket.getMany(Array.from({ length: 1_000 }, (_, i) => `${i}`)))?.size, 1_000);
});

Deno.test("KvTransaction throws for what cannot be committed", async () => {
  await using stores = new KvStores();
  const bucket = stores.kvBucket("none");
  await assertRejects(() => bucket.atomic().commit(), RangeError, "must have ≥ 1 write");
  await assertRejects(() => bucket.atomic().check("a", 1).commit(), RangeError, "must have ≥ 1 write");
  const more = bucket.atomic().check("a", 1).check("b", 1).put("c", "v");
  await assertRejects(() => more.commit(), RangeError, "as many checks as writes (1): it has 2");
  assertThrows(() => bucket.atomic().check("a", 1).check("a", 2), RangeError, "as in the check before");
  assertThrows(() => bucket.atomic().check("a", 0), RangeError, "'revision' must be a whole number ≥ 1, or null");
  assertThrows(() => bucket.atomic().put("a", 5 as never), TypeError, "'value' must be a string or a Uint8Array");
  assertThrows(() => bucket.atomic().put("", "v"), TypeError, "'key' must not be empty");
  const committed = bucket.atomic().put("a", "v");
  assertEquals(await committed.commit(), null);
  await assertRejects(() => committed.commit(), TypeError, "committed before");
});

Deno.test("KvTransaction.commit knows its own writes when its reply was lost", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("lossy");
  await bucket.atomic().put("a", "0").put("b", "0").commit();
  for (const isCut of [false, true]) {
    for (const writes of [1, 2]) {
      const revision = (await bucket.get("a"))!.revision;
      let lost = 0;
      proxy.tampering.drop = (subject, payload) => {
        if (!isAck(subject, payload) || lost++ > 0) return false;
        if (isCut) setTimeout(() => proxy.cut(), 0);
        return true;
      };
      const transaction = bucket.atomic().check("a", revision).put("a", `${isCut} ${writes}`);
      if (writes === 2) transaction.put("b", `${isCut} ${writes}`);
      const result = await transaction.commit();
      proxy.tampering.drop = undefined;
      const [a, b] = [await bucket.get("a"), await bucket.get("b")];
      assertEquals(result, { ok: true, revision: writes === 2 ? b!.revision : a!.revision });
      assertEquals(a?.text(), `${isCut} ${writes}`);
      assert(lost > 0);
    }
  }
});

Deno.test("KvTransaction.commit is null, not { ok: false }, when others may have replaced all of its writes", async () => {
  await using server = await startNatsServer();
  await using direct = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const [bucket, other] = [stores.kvBucket("lossy"), direct.kvBucket("lossy")];
  const first = (await bucket.put("a", "0"))!;
  let [lost, isReplaced] = [0, false];
  const replaced = () => {
    isReplaced = true;
    setTimeout(() => proxy.cut(), 0);
  };
  proxy.tampering.drop = (subject, payload) => {
    if (!isAck(subject, payload) || lost++ > 0) return false;
    other.put("a", "theirs").then(replaced);
    return true;
  };
  // It is sent again until it has an answer.
  proxy.tampering.lose = (subject) => lost > 0 && !isReplaced && subject.startsWith("$KV.");
  assertEquals(await bucket.atomic().check("a", first).put("a", "mine").commit(), null);
});

Deno.test("KvTransaction.commit is { ok: false } when an unconfirmed try cannot have been stored", async () => {
  await using server = await startNatsServer();
  await using direct = new KvStores({ servers: server.url });
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const [bucket, other] = [stores.kvBucket("lossy"), direct.kvBucket("lossy")];
  const first = (await bucket.atomic().put("a", "0").put("b", "0").commit())!;
  assert(first.ok);
  let [lost, isReplaced] = [0, false];
  const replaced = () => {
    isReplaced = true;
    setTimeout(() => proxy.cut(), 0);
  };
  proxy.tampering.lose = (_subject, payload) => {
    if (!payload.includes("Nats-Batch-Commit")) return false;
    if (lost++ === 0) other.put("b", "theirs").then(replaced);
    return !isReplaced;
  };
  const result = await bucket.atomic().check("b", first.revision).put("a", "mine").put("c", "mine").commit();
  assertEquals([result, lost > 1], [{ ok: false }, true]);
  assertEquals((await bucket.get("a"))?.text(), "0");
});

Deno.test("KvTransaction.commit of several writes needs nats-server 2.12, and says so", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url, { version: "2.11.10" });
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("old");
  assertEquals(await bucket.atomic().put("a", "v").commit(), { ok: true, revision: 1 });
  const error = await assertRejects(() => bucket.atomic().put("a", "v").put("b", "v").commit(), Error, "2.12");
  assertEquals((error as { code?: string }).code, "unsupported");
});

Deno.test("KvTransaction.put gives a value a TTL of its own", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("short");
  assertEquals((await bucket.atomic().put("a", "v", { ttl: 1_000 }).put("b", "v").commit())?.ok, true);
  await waitUntil(async () => await bucket.get("a") === null);
  assertEquals([await bucket.get("a"), (await bucket.get("b"))?.text()], [null, "v"]);
  const history = stores.kvBucket("history", { history: 5 });
  const ttl = { ttl: 1_000 };
  assertEquals((await history.atomic().check("a", null).put("a", "v", ttl).put("b", "v").commit())?.ok, true);
  await assertRejects(() => history.atomic().put("a", "v", ttl).put("b", "v").commit(), Error, "keeps 5 revisions");
});

Deno.test("KvTransaction.commit lets one of many win over two keys, on three replicas", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using stores = new KvStores({ servers: cluster.urls });
  await using others = new KvStores({ servers: cluster.urls });
  const buckets = [stores.kvBucket("raced", { replicas: 3 }), others.kvBucket("raced", { replicas: 3 })];
  for (let round = 0; round < 5; round++) {
    const begun = performance.now();
    const results = await Promise.all(
      Array.from(
        { length: 16 },
        (_, i) =>
          buckets[i % 2].atomic().check(`a${round}`, null).put(`a${round}`, `${i}`).put(`b${round}`, `${i}`).commit(),
      ),
    );
    const winners = results.flatMap((result, i) => result?.ok ? [i] : []);
    // What was sent twice, as its answer took a second, cannot know whether it was replaced.
    assert(!results.includes(null) || performance.now() - begun > 1_000);
    assertEquals(winners.length, 1);
    const values = await buckets[0].getMany([`a${round}`, `b${round}`]);
    assertEquals(Array.from(values!.values(), (entry) => entry.text()), [`${winners[0]}`, `${winners[0]}`]);
  }
});

Deno.test("KvTransaction.commit throws for a value larger than the server takes, and stores nothing", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("large");
  const large = "x".repeat(1_048_577);
  for (const place of [0, 1, 2]) {
    const transaction = bucket.atomic();
    for (let i = 0; i < 3; i++) transaction.put(`${i}`, i === place ? large : "v");
    await assertRejects(() => transaction.commit(), RangeError, "max_payload");
  }
  assertEquals((await bucket.getMany(["0", "1", "2"]))?.size, 0);
  assertEquals(await bucket.atomic().put("0", "v").put("1", "v").commit(), { ok: true, revision: 2 });
});

Deno.test("KvTransaction.commit without an answer holds up no batch of another stream", async () => {
  await using server = await startNatsServer();
  const tampering: Tampering = {};
  await using proxy = new Proxy(server.url, tampering);
  await using stores = openStores(proxy.url, { timeout: 60_000 });
  const [silent, queue] = [stores.kvBucket("silent"), stores.jobQueue("checks")];
  await silent.put("opened", "");
  await queue.open();
  tampering.lose = (subject) => subject.startsWith("$KV.silent.");
  let committed = 0;
  const commits = Array.from({ length: 40 }, async (_, n) => {
    const done = await silent.atomic().put(`a${n}`, "1").put(`b${n}`, "2").commit();
    committed++;
    return done?.ok;
  });
  const receipts = await queue.publishMany([{ data: 1 }, { data: 2 }], { atomic: true });
  assertEquals([receipts?.length, committed], [2, 0]);
  tampering.lose = undefined;
  assertEquals(await Promise.all(commits), commits.map(() => true));
});
