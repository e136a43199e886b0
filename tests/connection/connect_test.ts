import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type ConnectOptions, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { RawServer } from "./_raw_server.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

Deno.test("JetStreamStores.connect returns the server, is idempotent, and concurrent calls share one attempt", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger });
  const info = {
    server: `127.0.0.1:${server.port}`,
    serverName: server.name,
    version: server.version,
    jetstream: true,
  };
  assertEquals(await Promise.all([1, 2, 3].map(() => stores.connect())), [info, info, info]);
  assertEquals(await stores.connect(), info);
  // Whoever is connected stays so.
  assertEquals(await stores.connect({ servers: "nats://127.0.0.1:1" }), info);
  assertEquals(stores.connectionInfo(), info);
  assertEquals(stores.connectionCounters().connects, 1);
  assertEquals((await server.monitor("/varz"))?.total_connections, 1);
});

Deno.test("JetStreamStores.connect shares one attempt among concurrent calls with equal options", async () => {
  await using server = new RawServer(() => {});
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ logger, env: () => undefined });
  const options = { servers: server.host, connectTimeout: 150 };
  const first = stores.connect({ ...options });
  while (server.accepted === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const others = [1, 2].map(() => stores.connect({ ...options }));
  assertEquals(await Promise.all([first, ...others]), [null, null, null]);
  assertEquals(server.accepted, 1);
});

Deno.test("JetStreamStores.connect with other options takes the place of attempts that fail", async () => {
  await using server = await startNatsServer({ auth: { token: "right" } });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, token: "wrong", logger });
  await assertRejects(() => stores.connect(), Error, "refused");
  assertEquals((await stores.connect({ token: "right" }))?.serverName, server.name);
  assertEquals(await stores.storeKV("k", "v"), 1);
});

Deno.test("JetStreamStores.connect with other options takes the place of an attempt under way", async () => {
  await using server = await startNatsServer();
  await using silent = new RawServer(() => {});
  await using stores = new JetStreamStores({ servers: silent.host, logger: new CollectedLog() });
  const [first, call, second] = await Promise.all([
    stores.connect(),
    stores.storeKV("k", "v"),
    stores.connect({ servers: server.url }),
  ]);
  assertEquals(second?.serverName, server.name);
  assertEquals(first?.serverName ?? server.name, server.name);
  assertEquals(call, null);
  assertEquals(await stores.storeKV("k", "v"), 1);
});

const WRONG: [ConnectOptions, new () => Error, string][] = [
  [{ servers: "" }, TypeError, "'servers' must be a non-empty string: current value is empty"],
  [{ servers: [] }, RangeError, "'servers' must name at least one server"],
  [{ servers: " , " }, RangeError, "'servers' must name at least one server"],
  [{ servers: 4222 as never }, TypeError, "'servers' must be a non-empty string: current value is of type number"],
  [{ servers: "http://localhost" }, RangeError, `'servers' must look like nats://host:port`],
  [
    { servers: "nats://a:99999" },
    RangeError,
    "number 1 of 1 is no URL with a host and a port from 1 to 65535 (the value is not shown",
  ],
  [{ servers: "nats://bob:s3cr3t@a:x" }, RangeError, "number 1 of 1 is no URL"],
  [{ servers: "nats://bob:100%@a" }, RangeError, "number 1 of 1 has a % that is no percent-encoding"],
  [{ servers: ["nats://a", "ws://b"] }, RangeError, "'servers' must not mix websocket"],
  [{ servers: "a", creds: "" }, TypeError, "'creds' must be a non-empty string"],
  [
    { servers: "a", token: 5 as never },
    TypeError,
    "'token' must be a non-empty string: current value is of type number",
  ],
  [
    { servers: "a", password: {} as never },
    TypeError,
    "'password' must be a non-empty string: current value is of type object",
  ],
  [{ servers: "a", nkeySeed: "SUA" }, RangeError, "'nkeySeed' must be the seed of a user (SU…)"],
  [{ servers: "a", tls: "ca.pem" as never }, TypeError, "'tls' must be an object"],
  [{ servers: "a", tls: { ca: 1 as never } }, TypeError, "'tls.ca' must be a non-empty string"],
  [{ servers: "a", tls: { cert: "c.pem" } }, RangeError, "the certificate and the key must be given together"],
  [{ servers: "wss://a", tls: { ca: "c.pem" } }, RangeError, "'tls' must not be given for websockets"],
  [{ servers: "a", inboxPrefix: "a.*" }, RangeError, "'inboxPrefix' must be a subject without wildcards"],
  [{ servers: "a", inboxPrefix: "a b" }, RangeError, "'inboxPrefix' must be a subject without wildcards"],
  [{ servers: "a", connectTimeout: 0 }, RangeError, "'connectTimeout' must be > 0"],
  [{ servers: "a", connectTimeout: NaN }, RangeError, "'connectTimeout' must be > 0"],
  [{ servers: "a", pingInterval: -1 }, RangeError, "'pingInterval' must be > 0"],
];

for (const [options, type, message] of WRONG) {
  Deno.test(`JetStreamStores.connect rejects ${JSON.stringify(options)}`, async () => {
    await using stores = new JetStreamStores({ logger: new CollectedLog(), env: () => undefined });
    await assertRejects(() => stores.connect(options), type, message);
    assertEquals(stores.connectionStatus(), "none");
  });
}

Deno.test("JetStreamStores is not made with an option that is wrong", () => {
  assertThrows(() => new JetStreamStores({ connectTimeout: -5 }), RangeError, "'connectTimeout' must be > 0");
  assertThrows(() => new JetStreamStores({ token: "" }), TypeError, "'token' must be a non-empty string");
});
