import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { type ConnectOptions, JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { freePort } from "../_support/free_port.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { QueueStores } from "../_support/queue_stores.ts";
import { complaints, useEverything } from "../_support/use_everything.ts";

const test = testFrom("2.14");

test("'domain' of the connected server itself: everything works", async () => {
  await using server = await startNatsServer({ jetstream: "domain: hub" });
  await using stores = new QueueStores(server.url, { domain: "hub" });
  await useEverything(stores);
  assertEquals(complaints(stores.log), []);
});

Deno.test("'domain' and 'apiPrefix' that are malformed, or both given, are a RangeError", async () => {
  for (const domain of ["a.b", "*", "a b", ">", "ä", "a\n", "x".repeat(201)]) {
    const error = assertThrows(
      () => new JetStreamStores({ domain }),
      RangeError,
      "'domain' must be one token of a subject",
    );
    assertEquals(error.message.includes("\n"), false);
  }
  for (const apiPrefix of [".a", "a.", "a..b", "a.*", "a.>", "a b", "ä", "x".repeat(201)]) {
    assertThrows(
      () => new JetStreamStores({ apiPrefix }),
      RangeError,
      "'apiPrefix' must be a subject without wildcards",
    );
  }
  assertThrows(() => new JetStreamStores({ domain: "" }), TypeError, "'domain' must be a non-empty string");
  assertThrows(() => new JetStreamStores({ domain: "a", apiPrefix: "b" }), RangeError, "must not both be given");
  const variables: Record<string, string>[] = [
    { SUPERCHECK_NATS_DOMAIN: "a.b" },
    { SUPERCHECK_NATS_API_PREFIX: "a..b" },
    { SUPERCHECK_NATS_DOMAIN: "a", SUPERCHECK_NATS_API_PREFIX: "b" },
  ];
  for (const set of variables) {
    const all: Record<string, string> = { SUPERCHECK_NATS_URL: "127.0.0.1:1", ...set };
    await using stores = new JetStreamStores({ env: (name) => all[name] });
    await assertRejects(() => stores.loadKV("k"), RangeError, Object.keys(set)[0]);
  }
});

Deno.test("the JetStream API's prefix is that of connect(), else of the instance, else of the environment where that names the servers", async () => {
  await using server = await startNatsServer({ jetstream: "domain: hub" });
  const env = (name: string) =>
    ({ SUPERCHECK_NATS_URL: server.url, SUPERCHECK_NATS_DOMAIN: "hub" } as Record<string, string>)[name];
  const cases: [ConnectOptions, ConnectOptions, string | undefined][] = [
    [{}, {}, "$JS.hub.API"],
    [{ servers: server.url }, {}, undefined],
    [{ apiPrefix: "$JS.API" }, {}, "$JS.API"],
    [{ domain: "other" }, { apiPrefix: "$JS.hub.API" }, "$JS.hub.API"],
    [{ apiPrefix: "other" }, { domain: "hub" }, "$JS.hub.API"],
  ];
  for (const [options, given, prefix] of cases) {
    await using stores = new JetStreamStores({ ...options, env, logger: { info() {}, warn() {}, error() {} } });
    assertEquals((await stores.connect(given))?.apiPrefix, prefix);
    assertEquals(typeof await stores.storeKV("k", "v"), "number");
  }
});

Deno.test("useConnection goes by the 'domain' of the instance", async () => {
  await using servers = await startLeaf(false);
  const nc = await connect({ servers: servers.leaf.url });
  await using stores = new QueueStores(undefined, { domain: "hub" });
  stores.useConnection(nc);
  const stored = [await stores.storeKV("k", "v"), (await stores.loadKV("k"))?.val];
  await stores.close();
  await nc.close();
  assertEquals(stored, [1, "v"]);
});

/** Starts a hub with JetStream and a server that is connected to it as a leafnode. */
async function startLeaf(jetstream: string | false) {
  const port = freePort();
  const hub = await startNatsServer({
    jetstream: "domain: hub",
    config: `leafnodes { listen: "127.0.0.1:${port}" }`,
  });
  const leaf = await startNatsServer({
    jetstream,
    config: `leafnodes { remotes: [{ url: "nats-leaf://127.0.0.1:${port}" }] }`,
  });
  await waitUntil(async () => Number((await hub.monitor("/leafz"))?.leafnodes) > 0);
  return {
    hub,
    leaf,
    [Symbol.asyncDispose]: async () => {
      await leaf[Symbol.asyncDispose]();
      await hub[Symbol.asyncDispose]();
    },
  };
}

for (const [where, jetstream] of [["the hub only", false], ["both", "domain: leaf"]] as const) {
  test(`'domain' of the hub over a leafnode, with JetStream on ${where}: everything works`, async () => {
    await using servers = await startLeaf(jetstream);
    await using stores = new QueueStores(servers.leaf.url, { domain: "hub" });
    await stores.storeKV("k", "v");
    await using direct = new QueueStores(servers.hub.url);
    assertEquals((await direct.loadKV("k"))?.val, "v");
    assertEquals(await direct.kvBucket("supercheck_kv").destroy(), true);
    await useEverything(stores);
    assertEquals(complaints(stores.log), []);
  });
}

Deno.test("without 'domain' a leaf without JetStream is 'jetstream_off' and names 'domain'; one without a responder is logged once, and calls are null", async () => {
  await using servers = await startLeaf(false);
  await using stores = new QueueStores(servers.leaf.url);
  const error = await assertRejects(() => stores.storeKV("k", "v"), JetStreamStoreError, "give the 'domain'");
  assertEquals(error.code, "jetstream_off");
  await using wrong = new QueueStores(servers.leaf.url, { domain: "hup", timeout: 2_000 });
  await wrong.connect();
  assertEquals([await wrong.storeKV("k", "v"), await wrong.loadKV("k")], [null, null]);
  assertEquals(wrong.log.length, 2, wrong.log.join("\n"));
  assertMatch(
    wrong.log[1],
    /^No responders on \$JS\.hup\.API\.STREAM\.INFO\.KV_supercheck_kv, retrying: check 'domain'/,
  );
});

Deno.test("what is not there in another domain reads as null, and is made again by the next write, though the server does not say that no stream listens", async () => {
  await using servers = await startLeaf("domain: leaf");
  await using stores = new QueueStores(servers.leaf.url, { domain: "hub", timeout: 20_000 });
  const kv = stores.kvBucket("b");
  assertEquals([await kv.get("k"), (await kv.getMany(["k"]))?.size], [null, 0]);
  assertEquals(await stores.objectBucket("b").get("k"), null);
  assertEquals(await Array.fromAsync(kv.keys()), []);
  assertEquals(await kv.put("k", "v"), 1);
  await using direct = new QueueStores(servers.hub.url);
  await direct.kvBucket("b").destroy();
  assertEquals([await kv.put("k", "v"), await kv.create("l", "v")], [1, 2]);
  await direct.kvBucket("b").destroy();
  assertEquals(await kv.delete("k"), true);
  assertEquals(stores.connectionCounters().degraded, 0);
});

/** An account with JetStream, and another one that imports it under the prefix `js.store`, as the documentation of the connection has it. */
async function importedAccounts(): Promise<string> {
  const text = await Deno.readTextFile(new URL("../../src/connection/README.md", import.meta.url));
  return /```hcl\n(accounts[^`]*)```/.exec(text)![1];
}

for (const flag of [false, true]) {
  test(`'apiPrefix' over an import of another account, js_ack_fc_v2 ${flag ? "on" : "off"}: everything works`, async () => {
    const accounts = await importedAccounts();
    await using server = await startNatsServer({ config: `${accounts}\nfeature_flags { js_ack_fc_v2: ${flag} }` });
    const options = { user: "app", password: "app", apiPrefix: "js.store" };
    await using stores = new QueueStores(server.url, options);
    await stores.storeKV("k", "v");
    await using owner = new QueueStores(server.url, { user: "store", password: "store" });
    assertEquals((await owner.loadKV("k"))?.val, "v");
    await owner.kvBucket("supercheck_kv").destroy();
    await useEverything(stores);
    assertEquals(complaints(stores.log), []);
  });
}
