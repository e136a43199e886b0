import { assertEquals, assertLess } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { RawServer } from "./_raw_server.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { atOnce } from "./_at_once.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { runService } from "../_support/run_service.ts";
import { suspend } from "../_support/suspend.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

// The sanitizers look for what is left in each of these.

Deno.test("JetStreamStores.close closes the socket, makes everything null, and connect() works again", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  const stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger });
  await stores.storeKV("k", "v");
  await Promise.all([stores.close(), stores.close()]);
  assertEquals(stores.connectionStatus(), "closed");
  assertEquals(stores.connectionInfo(), null);
  assertEquals(await atOnce(stores.loadKV("k")), null);
  assertEquals(await atOnce(stores.storeKV("k", "w")), null);
  // The server may notice it later.
  await waitUntil(async () => (await server.monitor("/connz"))?.num_connections === 0);
  assertEquals((await stores.connect())?.serverName, server.name);
  assertEquals(await stores.loadKV("k"), { key: "k", val: "v" });
  await stores.close();
  assertEquals(logger.lines.map((line) => line.replace(/ (to|from) NATS.*/, "")), [
    "info: Connected",
    "info: Disconnected",
    "info: Reconnected",
    "info: Disconnected",
  ]);
});

Deno.test("JetStreamStores.close before the first use leaves everything null", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  const stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger });
  await stores.close();
  assertEquals(stores.connectionStatus(), "closed");
  assertEquals(await stores.loadKV("k"), null);
  assertEquals(logger.lines, []);
});

Deno.test("JetStreamStores.close sends what was sent before", async () => {
  await using server = await startNatsServer();
  const stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger: new CollectedLog() });
  await stores.storeKV("k", "v");
  const writes = Array.from({ length: 100 }, (_, i) => stores.storeKV(`k${i}`, "v"));
  await stores.close();
  await Promise.all(writes);
  await stores.connect();
  const loaded = await Promise.all(writes.map((_, i) => stores.loadKV(`k${i}`)));
  assertEquals(loaded.filter((entry) => entry === null), []);
  await stores.close();
});

for (
  const [state, options] of [
    ["a server that does not greet", {}],
    ["several of them", { servers: 3 }],
    ["a websocket that is not answered", { scheme: "ws://" }],
  ] as const
) {
  Deno.test(`JetStreamStores.close gives up an attempt to connect at once: ${state}`, async () => {
    await using silent = new RawServer(() => {});
    const { scheme = "nats://", servers = 1 } = { scheme: undefined, servers: undefined, ...options };
    const stores = new JetStreamStores({
      servers: Array(servers).fill(scheme + silent.host),
      logger: new CollectedLog(),
    });
    const calls = [stores.connect(), stores.loadKV("k"), stores.publishJob("q", 1)];
    while (silent.accepted === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const start = performance.now();
    await stores.close();
    assertEquals(await Promise.all(calls), [null, null, null]);
    assertLess(performance.now() - start, 5_000);
  });
}

Deno.test("JetStreamStores.close may come at any moment of connecting", async () => {
  await using server = await startNatsServer();
  for (let turns = 0; turns < 60; turns++) {
    const stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger: new CollectedLog() });
    const call = stores.connect();
    for (let turn = 0; turn < turns; turn++) {
      await (turn % 4 === 3 ? new Promise((resolve) => setTimeout(resolve)) : null);
    }
    await stores.close();
    await call;
    assertEquals(stores.connectionStatus(), "closed");
  }
});

Deno.test("JetStreamStores.close while the server is down ends the attempts", async () => {
  const logger = new CollectedLog();
  const stores = new JetStreamStores({ servers: "nats://127.0.0.1:1", logger });
  await stores.connect();
  await logger.until(/unreachable/);
  const start = performance.now();
  await stores.close();
  assertLess(performance.now() - start, 5_000);
  assertEquals(stores.connectionStatus(), "closed");
});

Deno.test("JetStreamStores.close lets running jobs finish within a deadline of years", async () => {
  await using server = await startNatsServer();
  const stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger: new CollectedLog() });
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  let aborted = false;
  await stores.consumeJobs("q", async (job) => {
    job.signal.addEventListener("abort", () => aborted = true);
    started.resolve();
    await finish.promise;
  });
  await stores.publishJob("q", 1, { id: "long" });
  await started.promise;
  const closed = stores.close({ deadline: 1_000 * 86_400_000 });
  // An answer of the server later, and one more: a deadline that is over at once has ended the run by now.
  for (let round = 0; round < 2; round++) await server.monitor("/varz");
  assertEquals(aborted, false);
  finish.resolve();
  await closed;
  await stores.connect();
  assertEquals(await stores.jobQueue("q").get("long"), null);
  await stores.close();
});

for (const websocket of [false, true]) {
  Deno.test(`JetStreamStores.close ends within its deadline when the ${websocket ? "websocket of a " : ""}server does not answer`, async () => {
    await using server = await startNatsServer({ websocket });
    const stores = new JetStreamStores({
      servers: websocket ? server.websocketUrl : server.url,
      logger: new CollectedLog(),
    });
    await stores.storeKV("k", "v");
    await suspend(server);
    const calls = [stores.loadKV("k"), stores.publishJob("q", 1), stores.connect().then(() => null)];
    const start = performance.now();
    await stores.close({ deadline: 300 });
    const took = performance.now() - start;
    assertEquals(await Promise.all(calls), [null, null, null]);
    assertLess(performance.now() - start - took, 4_000);
    assertLess(took, 5_000);
    server.resume();
  });
}

Deno.test("JetStreamStores.close lets the process end, also when the server does not answer", async () => {
  await using server = await startNatsServer();
  const run = await runService(
    `const stores = new jetstream.JetStreamStores({ servers: "${server.url}" });
    await stores.storeKV("k", "v");
    Deno.kill(${server.pid}, "SIGSTOP");
    await stores.close({ deadline: 100 });
    console.log(await stores.loadKV("k"));`,
  );
  server.resume();
  assertEquals([run.code, run.stdout], [0, "null\n"], run.stderr);
});
