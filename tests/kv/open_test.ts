import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../mod.ts";
import { JetStreamStoreError } from "../../src/errors.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Proxy } from "../_support/proxy.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { KvStores } from "../_support/kv_stores.ts";

const test = testFrom("2.14");

/** A bucket as some other client may have made it, with settings that this library never makes. */
const ODD = {
  name: "KV_odd",
  subjects: ["$KV.odd.>", "odd.extra"],
  max_msgs_per_subject: 7,
  max_age: 3_600e9,
  duplicate_window: 600e9,
  max_bytes: 50_000_000,
  max_msgs: 100_000,
  max_msg_size: 100_000,
  max_consumers: 50,
  discard: "old" as const,
  storage: "memory" as const,
  compression: "none" as const,
  description: "somebody else's",
  allow_direct: true,
  allow_rollup_hdrs: true,
  deny_delete: false,
  deny_purge: false,
  allow_msg_ttl: false,
  republish: { src: "$KV.odd.>", dest: "changes.>" },
  metadata: { owner: "them" },
};

Deno.test("KvBucket makes the stream that the official client makes", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const nc = await connect({ servers: server.url });
  const kvm = new Kvm(nc);
  for (const [ttl, history] of [[undefined, 1], [30_000, 1], [600_000, 10]] as const) {
    await kvm.create("bucket", { history, ...(ttl && { ttl }) });
    const theirs = await stores.config("bucket");
    await (await jetstreamManager(nc)).streams.delete("KV_bucket");
    await stores.kvBucket("bucket", { history, ...(ttl && { ttl }) }).put("k", "v");
    // As the Go client, ours denies the deletion of single messages (ADR-8), theirs leaves the window to the server.
    assertEquals(await stores.config("bucket"), { ...theirs, deny_delete: true });
    await stores.api("STREAM.DELETE.KV_bucket");
  }
  await nc.close();
});

Deno.test("KvBucket caps the duplicate window to the TTL", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await stores.kvBucket("short", { ttl: 5_000 }).put("k", "v");
  await stores.kvBucket("long", { ttl: 500_000 }).put("k", "v");
  assertEquals((await stores.config("short")).duplicate_window, 5e9);
  assertEquals((await stores.config("long")).duplicate_window, 120e9);
});

Deno.test("KvBucket sends no update for an option that says what the server leaves unsaid", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const updates: string[] = [];
  await stores.listen("$JS.API.STREAM.UPDATE.>", (subject) => updates.push(subject));
  for (let i = 0; i < 2; i++) {
    for (
      const options of [{ description: "" }, { ttl: 0 }, { compression: false }, { maxBytes: -1, maxValueSize: -1 }]
    ) {
      await stores.kvBucket("same", options).put("k", "v");
    }
  }
  await stores.kvBucket("same", { description: "other" }).put("k", "v");
  await stores.kvBucket("same", { description: "" }).put("k", "v");
  assertEquals((await stores.config("same")).description, undefined);
  assertEquals(updates.length, 2);
});

Deno.test("KvBucket.put does not fail with the opening of another call whose time is up earlier", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("slow");
  let lost = 0;
  proxy.tampering.drop = (_, payload) => payload.includes("stream_create_response") && lost++ === 0;
  // create() tries again after a second, and so does the opening that it began.
  const created = bucket.create("a", "v");
  const stored = bucket.put("b", "v");
  assertEquals([await created, await stored].toSorted(), [1, 2]);
  assert(lost > 0);
});

Deno.test("KvBucket changes nothing of a bucket that exists when no option is given", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const before = await stores.createStream(ODD);
  const bucket = stores.kvBucket("odd");
  await bucket.put("k", "v");
  assertEquals(await stores.config("odd"), before);
  assertEquals((await bucket.status())?.history, 7);
});

Deno.test("KvBucket sends no update that changes nothing", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const options = {
    ttl: 60_000,
    history: 3,
    description: "same",
    metadata: { a: "b" },
    maxBytes: 1_000_000,
    compression: true,
  };
  await stores.kvBucket("same", options).put("k", "v");
  const updates: string[] = [];
  const stop = await stores.listen("$JS.EVENT.ADVISORY.STREAM.UPDATED.>", (subject) => updates.push(subject));
  await stores.kvBucket("same", options).put("k", "v");
  await stores.kvBucket("same", { ...options, ttl: 50_000 }).put("k", "v");
  assertEquals(updates, ["$JS.EVENT.ADVISORY.STREAM.UPDATED.KV_same"]);
  stop();
});

Deno.test("KvBucket updates the TTL of an existing bucket in place, keeps all else, and logs it once", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const before = await stores.createStream(ODD);
  const bucket = stores.kvBucket("odd", { ttl: 60_000 });
  await Promise.all([bucket.put("k", "v"), bucket.put("l", "v"), bucket.put("m", "v")]);
  await bucket.put("k", "w");
  // The window may not exceed the TTL.
  assertEquals(await stores.config("odd"), { ...before, max_age: 60e9, duplicate_window: 60e9 });
  const told = stores.log.filter((line) => line.includes("TTL"));
  assertEquals(told.length, 1);
  assertMatch(told[0], /The bucket "odd" has a TTL of 60000 ms from now on, it was 3600000 ms/);
  await stores.kvBucket("odd", { ttl: 0 }).put("k", "v");
  assertEquals(await stores.config("odd"), { ...before, max_age: 0, duplicate_window: 60e9 });
});

test("KvBucket logs no new TTL that the server has refused", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const before = await stores.createStream(ODD);
  const bucket = stores.kvBucket("odd", { ttl: 60_000, replicas: 3 });
  await assertRejects(() => bucket.put("k", "v"), JetStreamStoreError, "replicas");
  assertEquals(await stores.config("odd"), before);
  assertEquals(stores.log.filter((line) => line.includes("TTL")), []);
});

Deno.test("KvBucket changes the options that are given, and keeps the labels of others", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  const before = await stores.createStream(ODD);
  await stores.kvBucket("odd", {
    history: 2,
    description: "ours",
    metadata: { mine: "1" },
    maxBytes: -1,
    maxValueSize: 500,
    storage: "file",
  })
    .put("k", "v");
  assertEquals(await stores.config("odd"), {
    ...before,
    max_msgs_per_subject: 2,
    description: "ours",
    metadata: { ...before.metadata, mine: "1" },
    max_bytes: -1,
    max_msg_size: 500,
  });
  assertEquals(stores.log.filter((line) => line.includes("stays in memory storage")).length, 1);
});

Deno.test("KvBucket refuses a stream of another kind under its name, and leaves it alone", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url });
  await stores.createStream({ name: "KV_events", subjects: ["events.>"] });
  await stores.createStream({ name: "KV_log", subjects: ["$KV.log.>"], max_msgs_per_subject: -1 });
  for (const name of ["events", "log"]) {
    const before = await stores.config(name);
    const bucket = stores.kvBucket(name, { ttl: 1_000, cache: true });
    // Into a stream that listens to these subjects anybody may write.
    const marks = name === "log" ? [] : [() => bucket.delete("k"), () => bucket.purge("k")];
    for (
      const call of [
        () => bucket.put("k", "v"),
        () => bucket.create("k", "v"),
        ...marks,
        () => bucket.status(),
        () => bucket.destroy(),
      ]
    ) {
      const error = await assertRejects(call, JetStreamStoreError, `The stream KV_${name} is `);
      assertEquals(error.code, "wrong_kind");
    }
    const watching = await assertRejects(() => Array.fromAsync(bucket.watch()), JetStreamStoreError);
    assertEquals(watching.code, "wrong_kind");
    const reading = await assertRejects(() => bucket.get("k"), JetStreamStoreError);
    assertEquals(reading.code, "wrong_kind");
    assertEquals(await stores.config(name), before);
    // The cache has looked, too.
    await waitUntil(async () => (await stores.consumers(name)).length === 0);
  }
});

Deno.test("KvBucket takes the replicas of a new bucket from the environment", async () => {
  await using server = await startNatsServer();
  await using stores = new KvStores({ servers: server.url, env: { SUPERCHECK_NATS_REPLICAS: "3" } });
  // A single server has no room for three.
  await assertRejects(() => stores.kvBucket("three").put("k", "v"), JetStreamStoreError, "replicas > 1");
  assertEquals(await stores.kvBucket("one", { replicas: 1 }).put("k", "v"), 1);
});

Deno.test("KvBucket checks its name and options, also without a connection", async () => {
  await using stores = new KvStores();
  assertThrows(() => stores.kvBucket("a.b"), RangeError, "its name must be 1 to 64 of A-Z a-z 0-9 _ -");
  assertThrows(() => stores.kvBucket(""), RangeError);
  assertThrows(
    () => stores.kvBucket("b", { ttl: -5 }),
    RangeError,
    "Cannot open the bucket as 'ttl' must be ≥ 100 ms: current value is -5",
  );
  assertThrows(() => stores.kvBucket("b", { ttl: 50 }), RangeError, "'ttl' must be ≥ 100 ms");
  assertThrows(
    () => stores.kvBucket("b", { history: 65 }),
    RangeError,
    "'history' must be a whole number from 1 to 64: current value is 65",
  );
  assertThrows(
    () => stores.kvBucket("b", { replicas: 0 }),
    RangeError,
    "'replicas' must be a whole number from 1 to 5",
  );
  assertThrows(() => stores.kvBucket("b", { maxBytes: 0 }), RangeError, "'maxBytes'");
  assertThrows(() => stores.kvBucket("b", { maxValueSize: 0.5 }), RangeError, "'maxValueSize'");
  assertThrows(
    () => stores.kvBucket("b", { storage: "disk" as "file" }),
    RangeError,
    `'storage' must be "file" or "memory"`,
  );
  assertThrows(() => stores.kvBucket("b", { description: 1 as unknown as string }), TypeError, "'description'");
  assertThrows(() => stores.kvBucket("b", { metadata: { a: 1 as unknown as string } }), TypeError, "'metadata.a'");
});

Deno.test("KvBucket.put waits for the name of a stream that was just removed, which in a cluster is taken for a moment", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  const type = "io.nats.jetstream.api.v1.stream_";
  const refusals: Record<string, unknown> = {
    [`"${type}create_response"`]: { code: 400, err_code: 10058, description: "stream name already in use" },
    [`"${type}info_response"`]: { code: 404, err_code: 10059, description: "stream not found" },
  };
  let created = false;
  proxy.tampering.change = (_, payload) => {
    const kind = Object.keys(refusals).find((kind) => payload.includes(kind));
    if (kind === undefined || (!created && kind.includes("info"))) return undefined;
    created = true;
    const error = refusals[kind];
    delete refusals[kind];
    return JSON.stringify({ type: JSON.parse(kind), error });
  };
  await using stores = new JetStreamStores({ servers: proxy.url, logger: false });
  assertEquals(await stores.kvBucket("b").put("k", "v"), 1);
  assertEquals(refusals, {});
});
