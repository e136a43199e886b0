import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../src/errors.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";

/** `reader` may read, list and watch the bucket "shared", and nothing else; no advisories either. */
const USERS = `authorization { users: [
  { user: admin, password: a }
  { user: reader, password: r, permissions: {
    publish: ["$JS.API.STREAM.INFO.KV_shared", "$JS.API.DIRECT.GET.KV_shared.>", "$JS.API.DIRECT.GET.KV_shared", "$JS.API.CONSUMER.MSG.NEXT.KV_shared.>",
      "$JS.API.CONSUMER.CREATE.KV_shared.>", "$JS.API.CONSUMER.DELETE.KV_shared.>"]
    subscribe: ["_INBOX.>"]
  } }
] }`;

Deno.test("KvBucket needs for reading no more than the permissions of a reader, and names what else is denied", async () => {
  await using server = await startNatsServer({ config: USERS });
  const as = (login: string) => server.url.replace("//", `//${login}@`);
  await using admin = new KvStores({ servers: as("admin:a") });
  await using stores = new KvStores({ servers: as("reader:r") });
  const theirs = admin.kvBucket("shared");
  await theirs.put("k", "1");
  const bucket = stores.kvBucket("shared");
  const cached = stores.kvBucket("shared", { cache: true });
  assertEquals((await bucket.get("k"))?.text(), "1");
  assertEquals((await cached.get("k"))?.text(), "1");
  assertEquals((await bucket.getMany(["k"]))?.size, 1);
  assertEquals(await Array.fromAsync(bucket.keys()), ["k"]);
  const seen: string[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    for await (const entry of bucket.watch(">", { signal: stop.signal })) seen.push(entry.text());
  })();
  await waitUntil(() => seen.length === 1);
  await theirs.put("k", "2");
  await waitUntil(() => seen.length === 2);
  await waitUntil(async () => (await cached.get("k"))?.text() === "2");
  stop.abort();
  await watching;
  for (
    const call of [
      () => bucket.put("k", "v"),
      () => bucket.create("k", "v"),
      () => bucket.delete("k"),
      () => bucket.destroy(),
    ]
  ) {
    const error = await assertRejects(call, JetStreamStoreError, "does not allow this user to publish to");
    assertEquals(error.code, "permission");
  }
  const other = stores.kvBucket("private");
  const reading = await assertRejects(
    () => other.get("k"),
    JetStreamStoreError,
    "$JS.API.DIRECT.GET.KV_private.$KV.private.k",
  );
  assertEquals(reading.code, "permission");
  const listing = await assertRejects(() => Array.fromAsync(other.keys()), JetStreamStoreError);
  assertEquals(listing.code, "permission");
  const watch = await assertRejects(() => Array.fromAsync(other.watch()), JetStreamStoreError);
  assertEquals(watch.code, "permission");
  assertEquals((await theirs.get("k"))?.text(), "2");
});

Deno.test("KvBucket lists and watches end with the reason where the user may not pull", async () => {
  const config = `authorization { users: [
    { user: admin, password: a }
    { user: reader, password: r, permissions: {
      publish: { allow: ["$JS.API.>"], deny: ["$JS.API.CONSUMER.MSG.NEXT.>"] }, subscribe: ["_INBOX.>"]
    } }
  ] }`;
  await using server = await startNatsServer({ config });
  await using admin = new KvStores({ servers: server.url.replace("//", "//admin:a@") });
  await using stores = new KvStores({ servers: server.url.replace("//", "//reader:r@") });
  await admin.kvBucket("shared").put("k", "v");
  const bucket = stores.kvBucket("shared");
  for (const list of [bucket.entries(), bucket.keys(), bucket.watch()]) {
    const denied = '"$JS.API.CONSUMER.MSG.NEXT.KV_shared.>"';
    const error = await assertRejects(() => Array.fromAsync<unknown>(list), JetStreamStoreError, denied);
    assertEquals(error.code, "permission");
  }
});
