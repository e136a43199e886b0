import { assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { setImmediate } from "node:timers";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Session } from "../../src/wire/session.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { Relay } from "../_support/relay.ts";
import { openSession } from "../_support/open_session.ts";

Deno.test("Session.send is quiet from the moment on at which the owner of the connection drains it", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  const session = new Session(nc, new CollectedLog());
  const drained = nc.drain();
  while (!nc.isClosed()) {
    session.send("anything", "");
    await new Promise((resolve) => setImmediate(resolve));
  }
  session.send("anything", "");
  await drained;
});

Deno.test("Listening.drain ends with the session, also if the server does not answer any more", async () => {
  await using server = await startNatsServer();
  await using relay = new Relay(server.url);
  await using opened = await openSession({ servers: relay.url });
  const listening = opened.session.subscribe("anything", () => {}, () => {});
  relay.hold("down");
  const draining = listening.drain();
  await opened.connection.close(10);
  assertEquals(await draining, undefined);
});
