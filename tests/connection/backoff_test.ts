import { assert, assertEquals } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { backoff } from "../../src/connection/backoff.ts";
import { GREETING, RawServer } from "./_raw_server.ts";
import { CollectedLog } from "../_support/collected_log.ts";

Deno.test("backoff doubles up to its limit, subtracts up to half at random, and has no end", () => {
  for (const [failures, full] of [[1, 100], [2, 200], [3, 400], [6, 3_200], [7, 4_000], [1_000, 4_000], [1e9, 4_000]]) {
    const waits = Array.from({ length: 200 }, () => backoff(failures, { base: 100, max: 4_000 }));
    assert(waits.every((wait) => wait >= full / 2 && wait <= full), `${failures}: ${waits}`);
    assert(new Set(waits).size > 100);
  }
});

/** Lets a client in, and closes. */
async function letInAndClose(socket: Deno.TcpConn): Promise<void> {
  await socket.write(new TextEncoder().encode(GREETING));
  const buffer = new Uint8Array(4_096);
  let said = "";
  while (!said.includes("PING\r\n")) {
    const length = await socket.read(buffer);
    if (length === null) break;
    said += new TextDecoder().decode(buffer.subarray(0, length));
  }
  await socket.write(new TextEncoder().encode("PONG\r\n"));
  socket.close();
}

Deno.test("JetStreamStores pauses longer and longer when a server lets it in and drops it each time", async () => {
  await using server = new RawServer(letInAndClose);
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ servers: server.host, logger });
  assertEquals((await stores.connect())?.version, "2.15.0");
  const start = performance.now();
  await logger.until(/Disconnected/, 4);
  // 50 + 100 + 200 ms at the least.
  assert(performance.now() - start > 340, `${performance.now() - start}`);
  assertEquals(stores.connectionCounters().connects, 4);
});

Deno.test("JetStreamStores waits longer and longer while the server is down, and logs nothing more after the disconnect", async () => {
  let letIn = true;
  await using server = new RawServer(async (socket) => {
    if (letIn) await letInAndClose(socket);
    else socket.close();
    letIn = false;
  });
  const logger = new CollectedLog();
  await using stores = new JetStreamStores({ servers: server.host, logger });
  const start = performance.now();
  await stores.connect();
  while (server.accepted < 5) await new Promise((resolve) => setTimeout(resolve, 5));
  assert(performance.now() - start > 340, `${performance.now() - start}`);
  assertEquals(logger.lines.map((line) => line.split(" ")[1]), ["Connected", "Disconnected"]);
});
