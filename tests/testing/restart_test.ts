import { reservedPorts } from "../../src/testing/_free_ports.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { runScript } from "./_run_script.ts";
import { exists, isAlive } from "./_is_alive.ts";
import { waitUntil } from "../_support/wait_until.ts";

async function request<T>(server: NatsServer, subject: string, data?: unknown): Promise<T> {
  let nc: NatsConnection | undefined;
  try {
    nc = await connect({ servers: server.url });
    return (await nc.request(subject, JSON.stringify(data ?? ""), { timeout: 10_000 })).json<T>();
  } finally {
    await nc?.close();
  }
}

function storedMessages(server: NatsServer): Promise<number> {
  return request<{ state: { messages: number } }>(server, "$JS.API.STREAM.INFO.KEPT").then(({ state }) =>
    state.messages
  );
}

async function store(server: NatsServer): Promise<void> {
  await request(server, "$JS.API.STREAM.CREATE.KEPT", { name: "KEPT", subjects: ["kept"], storage: "file" });
  await request(server, "kept", "a message");
}

Deno.test("NatsServer.restart keeps port and store, after kill, after stop and while it runs", async () => {
  await using server = await startNatsServer();
  const { port } = server;
  await store(server);

  const killed = server.pid;
  await server.kill();
  assertEquals([server.running, await isAlive(killed)], [false, false]);
  await server.restart();
  assertNotEquals(server.pid, killed);
  assertEquals([server.port, await storedMessages(server)], [port, 1]);

  await server.stop();
  assertEquals(server.running, false);
  await server.restart();
  assertEquals([server.port, await storedMessages(server)], [port, 1]);

  await server.restart();
  assertEquals([server.port, await storedMessages(server)], [port, 1]);
});

Deno.test("NatsServer.restart rejects after disposal", async () => {
  const server = await startNatsServer();
  await server[Symbol.asyncDispose]();
  await assertRejects(() => server.restart(), Error, "as it is disposed");
});

Deno.test("NatsServer.restart waits for a port that somebody else lets go of soon", async () => {
  await using server = await startNatsServer();
  await server.stop();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: server.port });
  const restarted = server.restart();
  await waitUntil(() => server.logs().includes("address already in use"));
  listener.close();
  await restarted;
  assertEquals((await server.monitor("/varz"))?.port, server.port);
});

Deno.test("NatsServer.restart rejects when somebody else keeps the port", async () => {
  await using server = await startNatsServer({ timeout: 5_000 });
  await server.stop();
  using _ = Deno.listen({ hostname: "127.0.0.1", port: server.port });
  await assertRejects(() => server.restart(), Error, "address already in use");
  assertEquals(server.running, false);
});

Deno.test("NatsServer.restart leaves nothing that runs when it rejects as the server is not ready in time", async () => {
  await using server = await startNatsServer({ timeout: 5_000 });
  const { pid } = server;
  const restarted = assertRejects(() => server.restart(), Error, "was not ready within 5000 ms");
  while (server.pid === pid) await new Promise((resolve) => setTimeout(resolve));
  server.suspend();
  await restarted;
  assertEquals(server.running, false);
});

Deno.test("NatsServer.restart starts nothing when it is disposed meanwhile", async () => {
  const server = await startNatsServer();
  const { pid } = server;
  const restarted = assertRejects(() => server.restart(), Error, "as it is disposed");
  await server[Symbol.asyncDispose]();
  await restarted;
  assertEquals(server.pid, pid);
});

Deno.test("startNatsServer keeps a store directory that it was given, for the next server", async () => {
  const storeDir = await Deno.makeTempDir();
  try {
    {
      await using server = await startNatsServer({ storeDir });
      await store(server);
    }
    assert(await exists(`${storeDir}/jetstream`));
    await using server = await startNatsServer({ storeDir });
    assertEquals([server.storeDir, await storedMessages(server)], [storeDir, 1]);
  } finally {
    await Deno.remove(storeDir, { recursive: true });
  }
});

Deno.test("startNatsServer gives away no port of a server that is down", async () => {
  await using server = await startNatsServer();
  await server.kill();
  assert(reservedPorts().has(server.port));
  const { port } = server;
  await server[Symbol.asyncDispose]();
  assertEquals(reservedPorts().has(port), false);
});

Deno.test("startNatsServer starts beside files and directories of others that are named like those of its servers", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/nats-server-file`, "");
    await Deno.symlink(`${directory}/none`, `${directory}/nats-server-link`);
    for (const name of ["empty", "nested", "pipe"]) await Deno.mkdir(`${directory}/nats-server-${name}`);
    await Deno.mkdir(`${directory}/nats-server-nested/nats-server.conf`);
    await new Deno.Command("mkfifo", { args: [`${directory}/nats-server-pipe/nats-server.conf`] }).output();
    // In a process of its own: the environment is that of all tests.
    const script = "await using server = await testing.startNatsServer(); console.log(server.port);";
    const { code, out, err } = await runScript(script, { env: { ...Deno.env.toObject(), TMPDIR: directory } });
    assertEquals([code, err], [0, ""]);
    assert(Number(out) > 0, out);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("NatsServer.kill outlives that somebody has removed the server's directory", async () => {
  const server = await startNatsServer();
  await Deno.remove(server.storeDir.replace(/\/store$/, ""), { recursive: true });
  await server.kill();
  // There is nothing that could be removed.
  await assertRejects(() => server[Symbol.asyncDispose](), Error, "Cannot remove the temporary directory");
});
