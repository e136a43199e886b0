import { assertEquals, assertMatch } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { atOnce } from "./_at_once.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

Deno.test("JetStreamStores connects by itself when the server appears after the first attempt", async () => {
  await using server = await startNatsServer();
  await server.stop();
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger });
  assertEquals(await stores.connect(), null);
  assertEquals(stores.connectionStatus(), "connecting");
  assertEquals(await atOnce(stores.loadKV("k")), null);
  await server.restart();
  await logger.until(/^info: Connected to NATS/);
  assertEquals(stores.connectionStatus(), "connected");
  assertEquals(await stores.storeKV("k", "v"), 1);
  assertEquals(logger.lines, [
    `warn: NATS at 127.0.0.1:${server.port} is unreachable (connect ECONNREFUSED 127.0.0.1:${server.port}). Calls return null, reconnecting`,
    `info: Connected to NATS ${server.version} at 127.0.0.1:${server.port}`,
  ]);
});

Deno.test("JetStreamStores logs each disconnect and reconnect once, and returns null at once in between", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger });
  await stores.storeKV("k", "v");
  for (let i = 1; i <= 2; i++) {
    await (i === 1 ? server.kill() : server.stop());
    await logger.until(/Disconnected/, i);
    assertEquals(stores.connectionStatus(), "reconnecting");
    assertEquals(stores.connectionInfo(), null);
    for (let call = 0; call < 50; call++) assertEquals(await atOnce(stores.loadKV("k")), null);
    await server.restart();
    await logger.until(/Reconnected/, i);
    assertEquals(stores.connectionStatus(), "connected");
    assertEquals(await stores.loadKV("k"), { key: "k", val: "v" });
  }
  const at = `127.0.0.1:${server.port}`;
  const lost = `warn: Disconnected from NATS at ${at} (why): calls return null, reconnecting`;
  const again = `info: Reconnected to NATS ${server.version} at ${at}`;
  const lines = logger.lines.map((line) =>
    line.replace(/ \((the server closed the connection|read ECONNRESET)\):/, " (why):")
  );
  assertEquals(lines, [again.replace("Reconnected", "Connected"), lost, again, lost, again]);
  const { connects, disconnects, degraded, timedOut } = stores.connectionCounters();
  assertEquals([connects, disconnects, degraded, timedOut], [3, 2, 100, 0]);
});

Deno.test("JetStreamStores takes another of its servers when one is dead, also in the middle of the work", async () => {
  await using one = await startNatsServer();
  await using two = await startNatsServer();
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({
    servers: `nats://127.0.0.1:1,${one.url},${two.url}`,
    logger,
  });
  const first = await stores.connect();
  const [present, other] = first?.serverName === one.name ? [one, two] : [two, one];
  assertEquals(first?.serverName, present.name);
  await present.kill();
  assertMatch(await logger.until(/Reconnected/), new RegExp(`:${other.port}$`));
  assertEquals(logger.lines.length, 3);
});

Deno.test("JetStreamStores logs a name that does not resolve, and keeps reconnecting", async () => {
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({
    servers: "nats://nowhere.invalid:4222",
    connectTimeout: TIMEOUT_MS,
    logger,
  });
  assertEquals(await stores.connect(), null);
  assertEquals(await stores.loadKV("k"), null);
  assertEquals(stores.connectionStatus(), "connecting");
  assertMatch(
    logger.lines.join("\n"),
    /^warn: NATS at nowhere\.invalid:4222 is unreachable \(getaddrinfo E\w+ nowhere\.invalid\)/,
  );
  assertEquals(logger.lines.length, 1);
});
