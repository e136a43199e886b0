import { assert, assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "../../src/testing/mod.ts";

Deno.test("startNatsServer gives a server that answers, with JetStream", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url });
  try {
    const reply = await nc.request("$JS.API.INFO");
    assertEquals(reply.json<{ error?: unknown }>().error, undefined);
    assert(/^2\./.test(server.version), server.version);
  } finally {
    await nc.close();
  }
});
