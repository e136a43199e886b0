import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "../../src/testing/mod.ts";
import { exists, isAlive } from "./_is_alive.ts";
import { waitUntil } from "../_support/wait_until.ts";

Deno.test("startNatsServer gives a server that answers at once, with JetStream", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  const answer = (await nc.request("$JS.API.INFO", "", { timeout: 10_000 })).json<{ error?: unknown }>();
  await nc.close();
  assertEquals(answer.error, undefined);
  assertMatch(server.version, /^2\.\d+\.\d+/);
});

Deno.test("startNatsServer listens on 127.0.0.1 only", async () => {
  await using server = await startNatsServer();
  const about = await server.monitor("/varz");
  assertEquals([about?.host, about?.http_host], ["127.0.0.1", "127.0.0.1"]);
});

Deno.test("startNatsServer leaves no process and no file after disposal", async () => {
  let pid, directory;
  {
    await using server = await startNatsServer();
    ({ pid } = server);
    directory = server.storeDir.replace(/\/store$/, "");
    assert(await isAlive(pid) && await exists(directory));
  }
  assert(!await isAlive(pid));
  assert(!await exists(directory));
});

Deno.test("startNatsServer leaves no process and no file when the test throws", async () => {
  let pid = 0, directory = "";
  await assertRejects(async () => {
    await using server = await startNatsServer();
    ({ pid, storeDir: directory } = server);
    throw new Error("as tests do");
  });
  assert(!await isAlive(pid));
  assert(!await exists(directory));
});

Deno.test("startNatsServer takes the port, the name and more configuration", async () => {
  let port;
  {
    await using server = await startNatsServer();
    ({ port } = server);
  }
  await using server = await startNatsServer({ port, serverName: "by-hand", config: "max_payload: 4096" });
  const nc = await connect({ servers: `127.0.0.1:${port}` });
  const { info } = nc;
  await nc.close();
  assertEquals([server.port, server.name], [port, "by-hand"]);
  assertEquals([info?.server_name, info?.max_payload], ["by-hand", 4096]);
});

Deno.test("startNatsServer takes lines of the jetstream block, or no JetStream", async () => {
  await using limited = await startNatsServer({ jetstream: "max_file_store: 1MB" });
  const { config } = await limited.monitor("/jsz") as { config: { max_storage: number } };
  assertEquals(config.max_storage, 1024 * 1024);
  await using without = await startNatsServer({ jetstream: false });
  assertEquals((await without.monitor("/jsz"))?.disabled, true);
});

Deno.test("startNatsServer rejects with the server's words when the configuration is wrong", async () => {
  const error = await assertRejects(() => startNatsServer({ config: 'server_name: "two words"' }), Error);
  assertStringIncludes(error.message, "server name cannot contain spaces");
});

Deno.test("startNatsServer rejects when the port is taken, or none", async () => {
  await using server = await startNatsServer();
  const error = await assertRejects(() => startNatsServer({ port: server.port }), Error);
  assertStringIncludes(error.message, "address already in use");
  await assertRejects(() => startNatsServer({ port: 70_000 }), RangeError, "'port' must be a port");
});

Deno.test("startNatsServer rejects when the server is not ready in time", async () => {
  await assertRejects(
    () => startNatsServer({ timeout: 0, config: 'http: "127.0.0.1:-1"' }),
    Error,
    "not ready within 0 ms",
  );
});

Deno.test("startNatsServer heeds its signal before, during and after the start", async () => {
  const reason = new Error("enough");
  const rejected = await assertRejects(() => startNatsServer({ signal: AbortSignal.abort(reason) }));
  assertEquals(rejected, reason);

  const during = new AbortController();
  const starting = startNatsServer({ signal: during.signal });
  during.abort(reason);
  assertEquals(await assertRejects(() => starting), reason);

  const after = new AbortController();
  await using server = await startNatsServer({ signal: after.signal });
  after.abort();
  await server[Symbol.asyncDispose]();
  assert(!server.running);
});

Deno.test("NatsServer.logs is bounded, and there after disposal", async () => {
  const server = await startNatsServer({ config: "debug: true\ntrace: true" });
  {
    await using _disposed = server;
    await waitUntil(() => server.logs().includes("Server is ready"));
    const nc = await connect({ servers: server.url });
    for (let i = 0; i < 2000; i++) nc.publish(`a.rather.long.subject.number.${i}`);
    nc.publish("the.last.one");
    await nc.flush();
    await nc.close();
  }
  assertEquals(new TextEncoder().encode(server.logs()).length, 64 * 1024);
  assert(server.logs().includes("the.last.one"));
});
