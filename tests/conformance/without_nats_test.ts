import { assertEquals, assertLess, assertRejects } from "@std/assert";
import * as jetstream from "../../mod.ts";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { suspend } from "../_support/suspend.ts";
import { type Functions, functionsOf, partsOf } from "../_support/calls.ts";

const test = testFrom("2.14");

/** Milliseconds that a call has in these tests. */
const TIMEOUT = 400;

/** What began by {@linkcode beginAll}. */
interface Begun {
  /** Asserts that each is what it must be without NATS, within its deadline. */
  calls: Promise<unknown>;
  /** Asserts that what follows has ended, or thrown. */
  followers: Promise<unknown>;
}

/**
 * Begins every call of every part at the same time.
 *
 * @param deadline Milliseconds that they may take.
 */
function beginAll(api: Functions, deadline: number): Begun {
  const start = performance.now();
  const calls: Promise<void>[] = [];
  const followers: Promise<void>[] = [];
  for (const { name, calls: all, target } of partsOf(api)) {
    const handle = target(api);
    for (const [method, { gives, good }] of Object.entries(all)) {
      const called = `${name} ${method}`;
      const iterate = () => Array.fromAsync(good(handle) as AsyncIterable<unknown>);
      const inTime = () => assertLess(performance.now() - start, deadline + 20_000, called);
      if (gives === "null") calls.push(Promise.resolve(good(handle)).then(assertNull(called)).then(inTime));
      if (gives === "throws") calls.push(assertDisconnected(iterate, called).then(inTime));
      if (gives === "follows") followers.push(assertEndsOrDisconnected(iterate, called));
    }
  }
  return { calls: Promise.all(calls), followers: Promise.all(followers) };
}

function assertNull(called: string): (result: unknown) => void {
  return (result) => assertEquals(result, null, called);
}

async function assertDisconnected(iterate: () => Promise<unknown>, called: string): Promise<void> {
  const error = await assertRejects(iterate, JetStreamStoreError, "", called);
  assertEquals(error.code, "disconnected", called);
}

async function assertEndsOrDisconnected(iterate: () => Promise<unknown[]>, called: string): Promise<void> {
  try {
    assertEquals(await iterate(), [], called);
  } catch (error) {
    await assertDisconnected(() => Promise.reject(error), called);
  }
}

/** Asserts that every call is null, and every iteration throws, in a state that has begun before. */
async function assertAllWithout(api: Functions, deadline: number): Promise<void> {
  const { calls, followers } = beginAll(api, deadline);
  await Promise.all([calls, followers]);
}

/** Stores over a server to which each part has talked already. */
async function connectedStores(servers: string): Promise<JetStreamStores> {
  const stores = new JetStreamStores({ servers, timeout: TIMEOUT, connectTimeout: 200, logger: new CollectedLog() });
  await stores.storeKV("k", "v");
  await stores.loadKV("k");
  await stores.storeHealthcheck("https://a", "{}");
  await stores.publishJob("q", 1);
  return stores;
}

Deno.test("every call is null, and every list throws, while no server is configured", async () => {
  await using stores = new JetStreamStores({ env: () => undefined, timeout: TIMEOUT, logger: new CollectedLog() });
  await assertAllWithout(functionsOf(stores), 0);
});

Deno.test("every call is null, and every list throws, while the server has never been there", async () => {
  await using stores = new JetStreamStores({
    servers: "127.0.0.1:1",
    timeout: TIMEOUT,
    connectTimeout: 200,
    logger: new CollectedLog(),
  });
  await assertAllWithout(functionsOf(stores), TIMEOUT);
});

Deno.test("every call is null, and every list throws, while the server is dead", async () => {
  await using server = await startNatsServer();
  await using stores = await connectedStores(server.url);
  await server.kill();
  while (stores.connectionStatus() === "connected") await new Promise((resolve) => setTimeout(resolve, 1));
  await assertAllWithout(functionsOf(stores), 0);
});

test("every call is null, and every list throws, when the server stops in the middle of it", async () => {
  await using server = await startNatsServer();
  await using stores = await connectedStores(server.url);
  await suspend(server);
  const { calls, followers } = beginAll(functionsOf(stores), TIMEOUT);
  await calls;
  await stores.close({ deadline: 50 });
  await followers;
  server.resume();
});

test("every call is null, and every list throws, when the server dies in the middle of it", async () => {
  await using server = await startNatsServer();
  await using stores = await connectedStores(server.url);
  await suspend(server);
  const { calls, followers } = beginAll(functionsOf(stores), TIMEOUT);
  await Promise.all([calls, server.kill()]);
  await stores.close();
  await followers;
});

test("every call is null, and every list throws, when the connection is closed in the middle of it", async () => {
  await using server = await startNatsServer();
  const stores = await connectedStores(server.url);
  await suspend(server);
  const { calls, followers } = beginAll(functionsOf(stores), TIMEOUT);
  await Promise.all([stores.close({ deadline: 50 }), calls, followers]);
  server.resume();
});

Deno.test("every call is null, and every list throws, after close()", async () => {
  await using server = await startNatsServer();
  const stores = await connectedStores(server.url);
  await stores.close();
  await assertAllWithout(functionsOf(stores), 0);
});

test("every function of mod.ts is null, or throws, unconfigured, with a dead server, with a silent one and closed", async () => {
  await using server = await startNatsServer();
  await assertAllWithout(jetstream, 0);
  await jetstream.connect({ servers: server.url, connectTimeout: 200 });
  await jetstream.storeKV("k", "v");
  await suspend(server);
  const { calls, followers } = beginAll(jetstream, 5_000);
  await calls;
  await server.kill();
  while (jetstream.connectionStatus() === "connected") await new Promise((resolve) => setTimeout(resolve, 1));
  await assertAllWithout(jetstream, 0);
  await jetstream.close();
  await followers;
  await assertAllWithout(jetstream, 0);
});
