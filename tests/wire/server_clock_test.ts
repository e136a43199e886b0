import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { openSession } from "../_support/open_session.ts";

const HOUR = 3_600_000;

Deno.test("Session.now goes by the server's clock, is not put back by an answer that was read late, and is never behind", async () => {
  await using server = await startNatsServer();
  await using client = await openSession({ servers: server.url });
  const { session } = client;
  const off = (by: number) => Math.abs(session.now() - Date.now() - by) < 100;
  /** The server is ahead by so much, and so many milliseconds have gone since it was asked, and since it wrote its answer. */
  const told = (by: number, asked = 0, written = 0) =>
    session.noteTime(new Date(Date.now() + by - written).toISOString(), performance.now() - asked);
  assertEquals(off(0), true);
  told(-HOUR);
  assertEquals(off(-HOUR), true);
  told(HOUR);
  assertEquals(off(HOUR), true);
  told(HOUR, 950, 900);
  assertEquals(off(HOUR), true);
  session.noteTime("nonsense", 0);
  assertEquals(off(HOUR), true);
  // The server's clock was set.
  told(0);
  assertEquals(off(0), true);
  // It was set forward, and the answer took its time on both ways.
  told(HOUR, 900, 400);
  assertEquals(off(HOUR + 500), true);
  told(HOUR);
  assertEquals(off(HOUR), true);
});
