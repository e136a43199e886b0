import { assert, assertEquals, assertThrows } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "../../src/testing/mod.ts";
import { suspend } from "../_support/suspend.ts";

Deno.test("NatsServer.suspend silences the server with its connections open, resume brings it back", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  await suspend(server);
  let answered = false;
  const flushed = nc.flush().then(() => answered = true);
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert(!answered && server.running && !nc.isClosed());
  server.resume();
  await flushed;
  await nc.close();
});

Deno.test("NatsServer.stop, restart and disposal work on a suspended server", async () => {
  await using server = await startNatsServer();
  server.suspend();
  await server.stop();
  await server.restart();
  server.suspend();
  await server.restart();
  assertEquals((await server.monitor("/healthz"))?.status, "ok");
  server.suspend();
});

Deno.test("NatsServer.suspend throws when the server does not run", async () => {
  await using server = await startNatsServer();
  await server.kill();
  assertThrows(() => server.suspend(), TypeError);
  assertThrows(() => server.resume(), TypeError);
});
