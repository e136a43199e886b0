/**
 * Connections of all clients that can be had from npm. `@nats-io/transport-deno` is published on JSR only (npm has no package of that name), so it
 * cannot be tried here: its connections are made of the same `@nats-io/nats-core` as those of `@nats-io/transport-node`.
 */
import { assertEquals, assertLess, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { type NatsConnection, wsconnect } from "@nats-io/nats-core";
import { connect as connectNode } from "@nats-io/transport-node";
import { connect as connectVersion2 } from "nats";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { atOnce } from "./_at_once.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** What the clients have in common. */
type Owned = Pick<
  NatsConnection,
  "close" | "closed" | "drain" | "flush" | "isClosed" | "status" | "publish" | "subscribe"
>;

/** Connections that come back however long the server takes. */
const RECONNECT = { reconnectTimeWait: 20, maxReconnectAttempts: -1 };

const CLIENTS: [string, (server: NatsServer, options?: object) => Promise<Owned>][] = [
  ["@nats-io/transport-node", ({ url }, options) => connectNode({ servers: url, ...RECONNECT, ...options })],
  [
    "wsconnect of @nats-io/nats-core",
    ({ websocketUrl }, options) => wsconnect({ servers: websocketUrl, ...RECONNECT, ...options }),
  ],
  [
    "npm:nats 2",
    ({ url }, options) => connectVersion2({ servers: url, ...RECONNECT, ...options }) as unknown as Promise<Owned>,
  ],
];

async function subscriptions(server: NatsServer): Promise<number> {
  const { connections } = await server.monitor("/connz") as { connections: { subscriptions: number }[] };
  return connections.reduce((sum, { subscriptions }) => sum + subscriptions, 0);
}

for (const [client, connect] of CLIENTS) {
  Deno.test(`JetStreamStores works over a connection of ${client}, before and after its reconnect, and leaves it open`, async () => {
    await using server = await startNatsServer({ websocket: true });
    const nc = await connect(server);
    const before = await subscriptions(server);
    const logger = new CollectedLog();
    const stores = new JetStreamStores({ logger, env: () => undefined });
    stores.useConnection(nc);
    assertEquals(stores.connectionStatus(), "connected");
    assertEquals(stores.connectionInfo()?.serverName, server.name);
    const heard: unknown[] = [];
    const handled = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const consumer = await stores.consumeJobs<number>("q", ({ data }) => {
      heard.push(data);
      handled[data].resolve();
    });
    for (const round of [0, 1]) {
      assertEquals(typeof await stores.storeKV("https://a/?b=c", `v${round}`), "number");
      assertEquals((await stores.loadKV("https://a/?b=c"))?.val, `v${round}`);
      assertEquals(await Array.fromAsync(stores.kvBucket("supercheck_kv").keys()), ["https://a/?b=c"]);
      assertEquals(await stores.storeHealthcheck("https://a", `{"round":${round}}`) !== null, true);
      assertEquals(await stores.loadHealthcheck("https://a"), `{"round":${round}}`);
      assertEquals((await stores.publishJob("q", round))?.duplicate, false);
      await handled[round].promise;
      if (round === 1) break;
      await server.restart();
      await logger.until(/Reconnected/);
    }
    assertEquals(heard, [0, 1]);
    assertEquals(await consumer?.stop(), { givenBack: 0, abandoned: [] });
    await stores.close();
    assertEquals(await stores.loadKV("k"), null);
    assertEquals(nc.isClosed(), false);
    await nc.flush();
    assertEquals(await subscriptions(server), before);
    await nc.close();
    assertEquals(logger.lines.map((line) => line.split(" ").slice(1, 3).join(" ")), [
      "Connected to",
      "Disconnected from",
      "Reconnected to",
      "Worker of",
      "Disconnected from",
    ]);
  });

  Deno.test(`JetStreamStores notices that the owner closed the connection of ${client}, and connect() works then`, async () => {
    await using server = await startNatsServer({ websocket: true });
    const nc = await connect(server);
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({ logger, env: () => undefined });
    stores.useConnection(nc);
    await stores.storeKV("k", "v");
    const pending = stores.kvBucket("supercheck_kv").watch()[Symbol.asyncIterator]();
    await pending.next();
    await nc.close();
    await logger.until(/^warn: The connection to NATS was closed by its owner: calls return null$/);
    assertEquals(stores.connectionStatus(), "closed");
    assertEquals(await stores.loadKV("k"), null);
    assertEquals(logger.lines.length, 2);
    assertThrows(() => stores.useConnection(nc), TypeError, "it is closed");
    assertEquals((await stores.connect({ servers: server.url }))?.serverName, server.name);
    assertEquals((await stores.loadKV("k"))?.val, "v");
    await stores.storeKV("k", "w");
    assertEquals((await pending.next()).value?.text(), "w");
    await pending.return?.();
  });

  Deno.test(`JetStreamStores gives null at once over a connection of ${client} that has lost its server when it is handed over`, async () => {
    await using server = await startNatsServer({ websocket: true });
    const nc = await connect(server);
    const status = nc.status()[Symbol.asyncIterator]();
    await server.stop();
    while ((await status.next()).value.type !== "disconnect") continue;
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({ logger, env: () => undefined });
    stores.useConnection(nc);
    assertEquals(stores.connectionStatus(), "reconnecting");
    assertEquals(await atOnce(stores.loadKV("k")), null);
    await server.restart();
    await logger.until(/Connected/);
    assertEquals(await stores.storeKV("k", "v"), 1);
    await nc.close();
  });

  Deno.test(`JetStreamStores ends its calls soon when the owner drains the connection of ${client}, and is null afterwards`, async () => {
    await using server = await startNatsServer({ websocket: true });
    const nc = await connect(server);
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({ logger, env: () => undefined });
    stores.useConnection(nc);
    await stores.storeKV("k", "v");
    const start = performance.now();
    const calls = Array.from({ length: 20 }, () => stores.loadKV("k"));
    const drained = nc.drain();
    calls.push(stores.loadKV("k"));
    await drained;
    calls.push(stores.loadKV("k"));
    await Promise.all(calls);
    assertLess(performance.now() - start, 4_000);
    assertEquals(await stores.loadKV("k"), null);
  });
}

for (const [client, connect] of CLIENTS) {
  Deno.test(`JetStreamStores lets a connection of ${client} come back that its owner drains, and goes without it`, async () => {
    await using server = await startNatsServer({ websocket: true });
    const nc = await connect(server);
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({ logger, env: () => undefined });
    stores.useConnection(nc);
    const following = stores.jobQueue("q").events()[Symbol.asyncIterator]();
    const event = following.next();
    assertEquals(await stores.storeKV("k", "v"), 1);
    const status = nc.status()[Symbol.asyncIterator]() as AsyncIterator<{ type: string }>;
    await server.stop();
    while ((await status.next()).value.type !== "disconnect") continue;
    const drained = nc.drain().catch(() => {});
    // Waits already as it comes back: that it is closed right after that ends the list of what nobody has read yet.
    const back = (async () => {
      while ((await status.next()).value.type !== "reconnect") continue;
    })();
    await server.restart();
    await back;
    assertEquals(await stores.loadKV("k"), null);
    await nc.close();
    await drained;
    await logger.until(/closed by its owner/);
    assertEquals((await stores.connect({ servers: server.url }))?.serverName, server.name);
    assertEquals((await stores.loadKV("k"))?.val, "v");
    await stores.close();
    assertEquals(await event, { done: true, value: undefined });
  });

  Deno.test(`JetStreamStores over a connection of ${client} that its owner drains lists nothing, and follows once there is another`, async () => {
    await using server = await startNatsServer({ websocket: true });
    const nc = await connect(server);
    await using stores = new JetStreamStores({ logger: new CollectedLog(), env: () => undefined });
    stores.useConnection(nc);
    const bucket = stores.kvBucket("b");
    await bucket.put("k", "v");
    const drained = nc.drain();
    const watching = bucket.watch()[Symbol.asyncIterator]();
    const watched = watching.next();
    const following = stores.jobQueue("q").events()[Symbol.asyncIterator]();
    const event = following.next();
    const error = await assertRejects(() => Array.fromAsync(bucket.keys()), JetStreamStoreError);
    assertEquals(error.code, "disconnected");
    await drained;
    await stores.connect({ servers: server.url });
    assertEquals((await watched).value?.text(), "v");
    await stores.publishJob("q", 1);
    await watching.return?.();
    await stores.close();
    await event;
  });

  Deno.test(`JetStreamStores.useConnection refuses a connection of ${client} that is being drained, and keeps the present one`, async () => {
    await using server = await startNatsServer({ websocket: true });
    await using stores = new JetStreamStores({
      connectTimeout: TIMEOUT_MS,
      servers: server.url,
      logger: new CollectedLog(),
    });
    await stores.storeKV("k", "v");
    const nc = await connect(server);
    const drained = nc.drain();
    assertThrows(() => stores.useConnection(nc), TypeError, "Cannot use the connection as it is draining");
    await drained;
    assertEquals((await stores.loadKV("k"))?.val, "v");
  });
}

Deno.test("JetStreamStores.useConnection takes the place of the present connection, which is closed if it is ours", async () => {
  await using one = await startNatsServer();
  await using two = await startNatsServer();
  const stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: one.url, logger: new CollectedLog() });
  await stores.connect();
  const [first, second] = [await connectNode({ servers: two.url }), await connectNode({ servers: one.url })];
  stores.useConnection(first);
  assertEquals(stores.connectionInfo()?.serverName, two.name);
  stores.useConnection(second);
  assertEquals(stores.connectionInfo()?.serverName, one.name);
  await stores.close();
  // Only that of its own is gone, once the server has noticed.
  await waitUntil(async () => (await one.monitor("/connz"))?.num_connections === 1);
  assertEquals([first.isClosed(), second.isClosed()], [false, false]);
  await Promise.all([first.close(), second.close()]);
});

for (const [client, connect] of CLIENTS) {
  Deno.test(`JetStreamStores.useConnection refuses a connection of ${client} that does not hear what it sends`, async () => {
    await using server = await startNatsServer({ websocket: true });
    await using stores = new JetStreamStores({ env: () => undefined, logger: false });
    const nc = await connect(server, { noEcho: true });
    assertThrows(() => stores.useConnection(nc), TypeError, "it was made with 'noEcho'");
    assertEquals(stores.connectionStatus(), "none");
    await nc.close();
  });
}

Deno.test("JetStreamStores.useConnection throws a TypeError that says what to do for what is no connection", () => {
  const stores = new JetStreamStores({ logger: new CollectedLog(), env: () => undefined });
  for (const nothing of [undefined, null, 5, "nats://localhost", {}, { publish() {} }, Promise.resolve({})]) {
    const error = assertThrows(() => stores.useConnection(nothing), TypeError, "Cannot use the connection as it");
    assertMatch(error.message, /hand over the result of connect\(\) of @nats-io\/transport-node/);
  }
  assertEquals(stores.connectionStatus(), "none");
});

Deno.test("JetStreamStores over a connection with a private inbox gets its answers there", async () => {
  await using server = await startNatsServer({
    config:
      `authorization { users: [{ user: "ann", password: "x", permissions: { subscribe: ["mine.>"], publish: [">"] } }] }`,
  });
  for (const connect of [CLIENTS[0][1], CLIENTS[2][1]]) {
    const nc = await connect(server, { user: "ann", pass: "x", inboxPrefix: "mine.box" });
    const stores = new JetStreamStores({ logger: new CollectedLog(), env: () => undefined });
    stores.useConnection(nc);
    assertEquals(typeof await stores.storeKV("k", "v"), "number");
    await stores.close();
    await nc.close();
    const without = await connect(server, { user: "ann", pass: "x" });
    stores.useConnection(without);
    const error = await assertRejects(() => stores.storeKV("k", "v"), JetStreamStoreError);
    assertEquals(error.code, "permission");
    await stores.close();
    await without.close();
  }
});
