import { assertEquals, assertThrows } from "@std/assert";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { openSession, within } from "../../_support/open_session.ts";

Deno.test("a message that breaks while it is written does not close the connection", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session, connection } = client;
  const heard: string[] = [];
  session.subscribe("a", (message) => void heard.push(message.string()), (error) => {
    throw error;
  });
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  session.send("a", "before");
  assertThrows(() => session.send("a", detached), TypeError);
  session.send("a", "after");
  await session.requests.request("$JS.API.INFO", "", within(10_000));
  assertEquals(heard, ["before", "after"]);
  assertEquals(connection.counters.disconnects, 0);
});
