import { assert, assertEquals, assertRejects } from "@std/assert";
import { startNatsCluster, startNatsServer } from "../../src/testing/mod.ts";
import type { KvBucket, KvEntry } from "../../mod.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";

const increment = (entry: KvEntry | null) => String(Number(entry?.text() ?? 0) + 1);

/** Stores of five processes, as far as the server can tell. */
function fiveStores(stack: AsyncDisposableStack, servers: string | string[]): KvStores[] {
  return Array.from({ length: 5 }, () => stack.use(new KvStores({ servers, timeout: 20_000 })));
}

/** Increments a counter `times` times from each bucket, ten at once; returns the revisions, `null` where it was not confirmed. */
async function incrementAll(buckets: KvBucket[], times: number): Promise<(number | null)[]> {
  const entries = await Promise.all(
    buckets.flatMap((bucket) => Array.from({ length: times }, () => bucket.modify("n", increment))),
  );
  return entries.map((entry) => entry && entry.revision);
}

Deno.test("KvBucket.modify stores, changes, leaves and deletes a value, and returns the entry", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("changed");
  const made = await bucket.modify("k", (entry) => entry === null ? "first" : "never");
  assertEquals([made?.key, made?.text(), made?.revision, made?.operation], ["k", "first", 1, "put"]);
  assert(Math.abs(made!.created.getTime() - (await bucket.get("k"))!.created.getTime()) < 10_000);
  const changed = await bucket.modify("k", (entry) => new TextEncoder().encode(`${entry?.text()}, second`));
  assertEquals([changed?.text(), changed?.revision], ["first, second", 2]);
  const left = await bucket.modify("k", () => undefined);
  assertEquals([left?.text(), left?.revision], ["first, second", 2]);
  const deleted = await bucket.modify("k", () => null);
  assertEquals([deleted?.operation, deleted?.text(), deleted?.revision], ["delete", "", 3]);
  assertEquals(await bucket.get("k"), null);
  assertEquals(await bucket.modify("k", () => null), null);
  assertEquals(await bucket.modify("k", () => undefined), null);
  const again = await bucket.modify("k", (entry) => `${entry}`);
  assertEquals([again?.text(), again?.revision], ["null", 4]);
});

Deno.test("KvBucket.modify makes the bucket, but not for a key that it leaves without a value", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("made");
  assertEquals(await bucket.modify("k", () => undefined), null);
  assertEquals(await bucket.status(), null);
  assertEquals((await bucket.modify("k", () => "v"))?.revision, 1);
});

Deno.test("KvBucket.modify counts right from 50 callers over five connections on one key", async () => {
  await using server = await startNatsServer();
  await using stack = new AsyncDisposableStack();
  const stores = fiveStores(stack, server.url);
  const begun = performance.now();
  const revisions = await incrementAll(stores.map((each) => each.kvBucket("counters")), 10);
  const confirmed = revisions.filter((revision) => revision !== null);
  // What was sent twice, as its answer took a second, may not know whether it is stored.
  assert(confirmed.length === 50 || performance.now() - begun > 1_000);
  assertEquals(new Set(confirmed).size, confirmed.length);
  const count = Number((await stores[0].kvBucket("counters").get("n"))?.text());
  assert(count >= confirmed.length && count <= 50, `${count} counted, ${confirmed.length} confirmed`);
});

Deno.test("KvBucket.modify counts right with three replicas while the leader changes", async () => {
  await using cluster = await startNatsCluster({ servers: 3 });
  await using stack = new AsyncDisposableStack();
  const stores = fiveStores(stack, cluster.urls);
  const buckets = stores.map((each) => each.kvBucket("counters", { replicas: 3 }));
  assertEquals((await buckets[0].modify("n", () => "0"))?.revision, 1);
  const counted = incrementAll(buckets, 10);
  await stores[0].api("STREAM.LEADER.STEPDOWN.KV_counters");
  const confirmed = (await counted).filter((revision) => revision !== null);
  assertEquals(new Set(confirmed).size, confirmed.length);
  let count = 0;
  // Nothing is confirmed that is not stored, though a replica that lags behind may answer first; what is not confirmed may be stored.
  await waitUntil(async () => (count = Number((await buckets[0].get("n"))?.text())) >= confirmed.length);
  assert(count <= 50, `${count} counted, ${confirmed.length} confirmed`);
});

Deno.test("KvBucket.modify resolves lost replies by looking, and reports no false success", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stack = new AsyncDisposableStack();
  const stores = fiveStores(stack, proxy.url);
  await stores[0].kvBucket("lossy").put("first", "v");
  let replies = 0;
  let lost = 0;
  proxy.tampering.drop = (_subject, payload) => {
    if (!payload.includes('"stream":"KV_lossy"') || ++replies % 7 > 0) return false;
    lost++;
    return true;
  };
  const confirmed = (await incrementAll(stores.map((each) => each.kvBucket("lossy")), 10))
    .filter((revision) => revision !== null);
  proxy.tampering.drop = undefined;
  const count = Number((await stores[0].kvBucket("lossy").get("n"))?.text());
  assertEquals(new Set(confirmed).size, confirmed.length);
  assert(lost > 0 && confirmed.length > 0, `${lost} lost, ${confirmed.length} confirmed`);
  assert(count >= confirmed.length && count <= 50, `${count} counted, ${confirmed.length} confirmed`);
});

Deno.test("KvBucket.modify does not call its function again for a write whose confirmation was lost with the connection", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("lossy");
  await bucket.put("k", "1");
  let lost = 0;
  proxy.tampering.drop = (_subject, payload) => {
    if (!payload.includes('"stream":"KV_lossy"') || lost++ > 0) return false;
    setTimeout(() => proxy.cut(), 0);
    return true;
  };
  let calls = 0;
  const entry = await bucket.modify("k", (entry) => {
    calls++;
    return `${entry?.text()}!`;
  });
  assertEquals([calls, entry?.text(), entry?.revision], [1, "1!", 2]);
  assertEquals((await bucket.get("k"))?.text(), "1!");
});

Deno.test("KvBucket.modify throws what its function throws, and for what is no value, and stores nothing", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("changed");
  await bucket.put("k", "v");
  await assertRejects(() => bucket.modify("k", () => JSON.parse("{")), SyntaxError);
  await assertRejects(
    () => bucket.modify("k", () => 5 as never),
    TypeError,
    "'value' must be a string or a Uint8Array",
  );
  await assertRejects(() => bucket.modify("k", (() => Promise.resolve("w")) as never), TypeError, "not a promise");
  await assertRejects(() => bucket.modify("k", () => "a\ud800"), TypeError, "well-formed");
  assertEquals((await bucket.get("k"))?.revision, 1);
  assertEquals((await bucket.modify("k", () => "w"))?.revision, 2);
});

Deno.test("KvBucket.modify gives a value a TTL of its own", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const bucket = stores.kvBucket("short");
  await bucket.put("k", "v");
  assertEquals((await bucket.modify("k", () => "w", { ttl: 1_000 }))?.revision, 2);
  assertEquals((await stores.config("short")).allow_msg_ttl, true);
});
