import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { openSession } from "./_open_session.ts";

const HOUR = 3_600_000;

Deno.test("Session.now goes by the server's clock, and is not put back by an answer that was read late", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  const off = (by: number) => Math.abs(session.now() - Date.now() - by) < 100;
  const told = (by: number) => session.noteTime(new Date(Date.now() + by).toISOString());
  assertEquals(off(0), true);
  told(-HOUR);
  assertEquals(off(-HOUR), true);
  told(HOUR);
  assertEquals(off(HOUR), true);
  told(HOUR - 900);
  assertEquals(off(HOUR), true);
  session.noteTime("nonsense");
  assertEquals(off(HOUR), true);
  // The server's clock was set.
  told(0);
  assertEquals(off(0), true);
});
