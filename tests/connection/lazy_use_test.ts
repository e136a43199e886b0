import { assert, assertEquals, assertMatch } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { atOnce } from "./_at_once.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

Deno.test("JetStreamStores connects to SUPERCHECK_NATS_URL with its first call, which waits for that", async () => {
  await using server = await startNatsServer();
  const asked: string[] = [];
  const env = (name: string) => {
    asked.push(name);
    return name === "SUPERCHECK_NATS_URL" ? server.url : undefined;
  };
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ env, logger });
  const bucket = stores.kvBucket("b");
  assertEquals(asked, []);
  assertEquals(stores.connectionStatus(), "none");
  assertEquals(await bucket.put("k", "v"), 1);
  assertEquals(stores.connectionStatus(), "connected");
  assertEquals(stores.connectionInfo()?.serverName, server.name);
  await bucket.get("k");
  assertEquals(asked.filter((name) => name === "SUPERCHECK_NATS_URL").length, 1);
  assertEquals(logger.lines, [`info: Connected to NATS ${server.version} at 127.0.0.1:${server.port}`]);
});

Deno.test("JetStreamStores gives null without a socket or a timer, and says so once, when no URL is set", async () => {
  const logger = new CollectedLog();
  const stores = new JetStreamStores({ env: () => undefined, logger });
  assertEquals(await atOnce(stores.loadKV("k")), null);
  assertEquals(await atOnce(stores.storeHealthcheck("u", "{}")), null);
  assertEquals(await atOnce(stores.connect()), null);
  assertEquals(stores.connectionStatus(), "none");
  assertEquals(stores.connectionInfo(), null);
  assertEquals(stores.connectionCounters(), { degraded: 2, timedOut: 0, connects: 0, disconnects: 0 });
  assertEquals(logger.lines, [
    "warn: No NATS server is configured (SUPERCHECK_NATS_URL is not set, or may not be read): calls return null",
  ]);
  // Never closed: the sanitizers would find what it left.
});

Deno.test("JetStreamStores can be connected explicitly when no URL is set", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ env: () => undefined, logger: new CollectedLog() });
  assertEquals(await stores.loadKV("k"), null);
  assertEquals((await stores.connect({ servers: server.url }))?.version, server.version);
  assertEquals(await stores.storeKV("k", "v"), 1);
});

Deno.test("JetStreamStores waits for the first attempt only, for at most connectTimeout", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({
    servers: [`nats://127.0.0.1:${silent.addr.port}`, `nats://localhost:${silent.addr.port}`],
    connectTimeout: 1_000,
    logger,
  });
  const start = performance.now();
  assertEquals(await Promise.all([stores.loadKV("k"), stores.loadKV("k")]), [null, null]);
  assert(performance.now() - start > 990);
  // The attempt goes on with the other server.
  assertEquals(logger.lines, []);
  assertEquals(stores.connectionStatus(), "connecting");
  assertEquals(await atOnce(stores.loadKV("k")), null);
  assertMatch(
    await logger.until(/unreachable/),
    /^warn: NATS at \S+ is unreachable \(timeout\): .+\. Calls return null, reconnecting$/,
  );
});

Deno.test("JetStreamStores comes back though a caller asks again and again without a pause", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    logger: new CollectedLog(),
  });
  await stores.storeKV("k", "v");
  await server.kill();
  const restarted = server.restart();
  let read = null;
  // Nothing but the call itself lets anything else run meanwhile.
  for (const end = performance.now() + 20_000; read === null && performance.now() < end;) {
    read = await stores.loadKV("k");
  }
  await restarted;
  assertEquals(read, { key: "k", val: "v" });
});
