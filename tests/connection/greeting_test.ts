import { assertEquals, assertLess } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { GREETING, RawServer, says, type Treatment } from "./_raw_server.ts";
import { CollectedLog } from "../_support/collected_log.ts";

const CASES: [does: string, treatment: Treatment, reason: RegExp][] = [
  ["says nothing", () => {}, /timeout/],
  ["closes at once", (socket) => socket.close(), /the server closed the connection|ECONNRESET/],
  ["closes in the middle of its first line", says(GREETING.slice(0, 20), { closes: true }), /the server closed/],
  ["stops in the middle of its first line", says(GREETING.slice(0, 20)), /timeout/],
  ["closes behind its first line", says(GREETING, { closes: true }), /the server closed|ECONNRESET|EPIPE/],
  ["says nothing after its first line", says(GREETING), /timeout/],
  ["speaks HTTP", says("HTTP/1.1 400 Bad Request\r\n\r\n", { closes: true }), /does not speak NATS/],
  ["sends a first line that is no JSON", says("INFO {nonsense\r\n"), /JSON/],
  ["sends bytes without an end", says("x".repeat(1_100_000)), /does not speak NATS/],
  ["goes on with garbage", says(`${GREETING}\0\0garbage\r\n`), /does not speak NATS/],
  ["goes on with INFO without a text", says(`${GREETING}INFO\r\n`), /does not speak NATS/],
  ["goes on with an error without a text", says(`${GREETING}-ERR \n`), /does not speak NATS/],
  ["goes on with a message of the wrong size", says(`${GREETING}MSG a 1 1\r\nxy\r\n`), /does not speak NATS/],
  [
    "has waited for too long for our credentials",
    says(`${GREETING}-ERR 'Authentication Timeout'\r\n`, { closes: true }),
    /Authentication Timeout/i,
  ],
  [
    "is full",
    says(`${GREETING}-ERR 'maximum connections exceeded'\r\n`, { closes: true }),
    /maximum connections exceeded/,
  ],
];

for (const [does, treatment, reason] of CASES) {
  Deno.test(`JetStreamStores is null, keeps no socket and retries when the server ${does}`, async () => {
    await using server = new RawServer(treatment);
    const logger = new CollectedLog();
    const waits = reason.source === "timeout";
    const stores = new JetStreamStores({ servers: server.host, connectTimeout: waits ? 500 : 30_000, logger });
    const start = performance.now();
    assertEquals(await stores.connect(), null);
    assertLess(performance.now() - start, 15_000);
    while (server.accepted < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(await stores.loadKV("k"), null);
    await stores.close();
    await server.released();
    const [first, ...more] = logger.lines;
    assertEquals([reason.test(first), more], [true, ["info: Disconnected from NATS, as close() was called"]], first);
  });
}
