import { assertEquals, assertRejects, assertThrows } from "@std/assert";
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

Deno.test("a message on a subject that is none is refused, and does not close the connection", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session, connection } = client;
  for (const subject of ["", "a b", "a\r\nPING", "a\tb", "a\n"]) {
    assertThrows(() => session.send(subject, "lost"), TypeError, "a subject must not be empty");
    await assertRejects(() => session.requests.request(subject, "lost", within(10_000)), TypeError);
  }
  await session.requests.request("$JS.API.INFO", "", within(10_000));
  assertEquals(connection.counters.disconnects, 0);
});
