import { assertEquals } from "@std/assert";
import { wsconnect } from "@nats-io/nats-core";
import { startNatsServer } from "../../src/testing/mod.ts";

Deno.test("startNatsServer takes WebSocket connections when it is asked to", async () => {
  await using server = await startNatsServer({ websocket: true });
  const nc = await wsconnect({ servers: server.websocketUrl });
  await nc.flush();
  assertEquals(nc.info?.server_name, server.name);
  await nc.close();
});

Deno.test("NatsServer.websocketUrl has the port that was given, stays the same over a restart, and is undefined without", async () => {
  await using without = await startNatsServer();
  assertEquals(without.websocketUrl, undefined);
  let url;
  {
    await using first = await startNatsServer({ websocket: true });
    url = first.websocketUrl;
  }
  const port = Number(/^ws:\/\/127\.0\.0\.1:(\d+)$/.exec(url ?? "")?.[1]);
  await using server = await startNatsServer({ websocket: port });
  await server.restart();
  assertEquals(server.websocketUrl, url);
  const nc = await wsconnect({ servers: server.websocketUrl });
  await nc.close();
});
