import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import { JetStreamStoreError, JetStreamStores, type StoreErrorCode } from "../../mod.ts";
import { type NatsServerOptions, startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** Calls of every part that ask something of the server. */
function everyKind(stores: JetStreamStores): [string, () => Promise<unknown>][] {
  const kv = stores.kvBucket("b");
  const objects = stores.objectBucket("b");
  const queue = stores.jobQueue("q");
  return [
    ["storeKV", () => stores.storeKV("k", "v")],
    ["loadKV", () => stores.loadKV("k")],
    ["deleteKV", () => stores.deleteKV("k")],
    ["storeHealthcheck", () => stores.storeHealthcheck("u", "{}")],
    ["loadHealthcheck", () => stores.loadHealthcheck("u")],
    ["publishJob", () => stores.publishJob("q", 1)],
    ["consumeJobs", () => stores.consumeJobs("q", () => {})],
    ["KvBucket.getMany", () => kv.getMany(["k"])],
    ["KvBucket.create", () => kv.create("k", "v")],
    ["KvBucket.status", () => kv.status()],
    ["KvBucket.destroy", () => kv.destroy()],
    ["KvBucket.keys", () => Array.fromAsync(kv.keys())],
    ["ObjectBucket.info", () => objects.info("n")],
    ["ObjectBucket.delete", () => objects.delete("n")],
    ["ObjectBucket.list", () => Array.fromAsync(objects.list())],
    ["JobQueue.get", () => queue.get("id")],
    ["JobQueue.counts", () => queue.counts()],
  ];
}

/** Asserts that every call is refused with this code, soon, and with a message. */
async function assertAllRefused(
  server: NatsServerOptions,
  login: { user?: string; password?: string },
  code: StoreErrorCode,
  message: RegExp,
): Promise<void> {
  await using running = await startNatsServer(server);
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: running.url, ...login, logger });
  await stores.connect();
  for (const [name, call] of everyKind(stores)) {
    const start = performance.now();
    const error = await assertRejects(call, JetStreamStoreError, "", name);
    assertEquals(error.code, code, `${name}: ${error.message}`);
    assertMatch(error.message, message);
    assertLess(performance.now() - start, 4_000);
  }
  assertEquals(logger.lines.length, 1);
}

Deno.test("every call throws 'jetstream_off' on a server without JetStream", () =>
  assertAllRefused(
    { jetstream: false },
    {},
    "jetstream_off",
    /has no JetStream: start nats-server with -js, enable it for the account, or give the 'domain'/,
  ));

Deno.test("every call throws 'jetstream_off' in an account without JetStream", () =>
  assertAllRefused(
    {
      config: `accounts {
        with { jetstream: enabled, users: [{ user: "ann", password: "x" }] }
        without { users: [{ user: "bob", password: "x" }] }
      }`,
    },
    { user: "bob", password: "x" },
    "jetstream_off",
    /JetStream/,
  ));

Deno.test("every call throws 'permission' for a user without the API's subjects", () =>
  assertAllRefused(
    {
      config:
        `authorization { users: [{ user: "ann", password: "x", permissions: { publish: { deny: ["$JS.>", "$KV.>", "$O.>", "wq.>"] } } }] }`,
    },
    { user: "ann", password: "x" },
    "permission",
    /does not allow this user to publish to "\$?(JS|KV|O|wq)\./,
  ));

Deno.test("every call throws 'permission' for a user without an inbox", () =>
  assertAllRefused(
    { config: `authorization { users: [{ user: "ann", password: "x", permissions: { subscribe: ["none"] } }] }` },
    { user: "ann", password: "x" },
    "permission",
    /does not allow this user to subscribe to "_INBOX\./,
  ));

Deno.test("writes throw 'limits' where the account may have no more streams, or no more bytes", async () => {
  const limits = `{ max_mem: 0, max_file: 2MB, max_streams: 1, max_consumers: -1 }`;
  await using server = await startNatsServer({
    config: `accounts { one { jetstream: ${limits}, users: [{ user: "ann", password: "x" }] } }`,
  });
  await using stores = new JetStreamStores({
    servers: server.url,
    user: "ann",
    password: "x",
    logger: new CollectedLog(),
  });
  assertEquals(await stores.storeKV("k", "v"), 1);
  for (
    const call of [
      () => stores.storeHealthcheck("u", "{}"),
      () => stores.publishJob("q", 1),
      () => stores.kvBucket("other").put("k", "v"),
    ]
  ) assertEquals((await assertRejects(call, JetStreamStoreError)).code, "limits");
  const fill = async () => {
    for (let i = 0; i < 10; i++) await stores.storeKV(`k${i}`, "v".repeat(500_000));
  };
  const error = await assertRejects(fill, JetStreamStoreError);
  assertEquals(error.code, "limits", error.message);
  assert(typeof error.serverCode === "number");
});

Deno.test("writes name SUPERCHECK_NATS_REPLICAS where a single server cannot keep so many", async () => {
  await using server = await startNatsServer();
  const env = (name: string) => name === "SUPERCHECK_NATS_REPLICAS" ? "3" : undefined;
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    env,
    logger: new CollectedLog(),
  });
  for (const call of [() => stores.storeKV("k", "v"), () => stores.publishJob("q", 1)]) {
    await assertRejects(call, JetStreamStoreError, "request one replica (an option, or SUPERCHECK_NATS_REPLICAS)");
  }
});

Deno.test("values above the server's max_payload are a RangeError", async () => {
  await using server = await startNatsServer({ config: "max_payload: 10000" });
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    logger: new CollectedLog(),
  });
  await stores.storeKV("k", "v");
  await stores.publishJob("q", 1);
  const big = "v".repeat(10_001);
  for (const call of [() => stores.storeKV("k", big), () => stores.publishJob("q", big)]) {
    await assertRejects(call, RangeError, "max_payload");
  }
  // Objects are cut into chunks that fit.
  assertEquals((await stores.storeHealthcheck("u", big))?.size, 10_001);
  assertEquals(await stores.loadHealthcheck("u"), big);
});

Deno.test("what needs headers throws 'unsupported' where the server takes none, and costs no connection", async () => {
  await using server = await startNatsServer({ config: "no_header_support: true" });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    logger,
    env: () => undefined,
  });
  assertEquals(await stores.storeKV("k", "v"), 1);
  const calls = [() => stores.storeHealthcheck("u", "{}"), () => stores.deleteKV("k"), () => stores.publishJob("q", 1)];
  for (const call of calls) {
    const error = await assertRejects(call, JetStreamStoreError, "no_header_support");
    assertEquals(error.code, "unsupported");
  }
  assertEquals(stores.connectionCounters().disconnects, 0);
});
