import { assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import type { Call } from "../../src/connection/call.ts";
import { Connection } from "../../src/connection/connection.ts";
import { Unavailable } from "../../src/connection/unavailable.ts";
import { Settings } from "../../src/settings.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Session } from "../../src/wire/session.ts";
import { within } from "../_support/wait_until.ts";
import { CollectedLog } from "../_support/collected_log.ts";

function newConnection(): Connection<Session> {
  const logger = new CollectedLog();
  return new Connection(new Settings(() => undefined), logger, {}, (nc) => new Session(nc, logger));
}

Deno.test("Connection.attempt that is patient waits for a connection that was handed over while it was down, also after a close()", async () => {
  await using server = await startNatsServer();
  const nc = await connect({ servers: server.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
  const connection = newConnection();
  connection.use(nc);
  await connection.close(1_000);
  const status = nc.status()[Symbol.asyncIterator]();
  await server.stop();
  while ((await status.next()).value.type !== "disconnect") continue;
  connection.use(nc);
  const call = connection.attempt(() => Promise.resolve("done"), { timeout: 60_000, patient: true });
  await server.restart();
  assertEquals(await call, "done");
  await connection.close(1_000);
  await nc.close();
});

for (const end of ["it is closed", "its owner closes it"]) {
  Deno.test(`Connection.attempt that persists is null once the connection has gone for good: ${end}`, async () => {
    await using server = await startNatsServer();
    const nc = await connect({ servers: server.url });
    const connection = newConnection();
    connection.use(nc);
    const call = connection.attempt(({ session: { signal } }) => {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }, { timeout: 600_000, persist: true, patient: true });
    await (end === "it is closed" ? connection.close(1_000) : nc.close());
    assertEquals(await within(call), null);
    const late = connection.attempt(() => Promise.resolve(1), { timeout: 600_000, patient: true });
    assertEquals(await within(late), null);
    await nc.close();
  });
}

/** Ends with the session over which it began; over the next one it is done. */
function untilNext() {
  let tries = 0;
  return ({ session }: Call<Session>) =>
    ++tries > 1
      ? Promise.resolve("done")
      : new Promise<never>((_, reject) =>
        session.signal.addEventListener("abort", () => reject(session.signal.reason))
      );
}

Deno.test("Connection.attempt remembers over all attempts of a call which of its writes may be done, and of no other call", async () => {
  await using server = await startNatsServer();
  const connection = newConnection();
  await connection.connect({ servers: server.url });
  const known: boolean[][] = [];
  const attempt = (call: Call<Session>) => {
    known.push([call.isUnconfirmed("a"), call.isUnconfirmed("b")]);
    call.until(0).noteUnconfirmed("a");
    const again = new Unavailable("no_leader", "The server is between leaders");
    return known.length % 3 === 0 ? Promise.resolve() : Promise.reject(again);
  };
  await connection.attempt(attempt, { timeout: 60_000 });
  await connection.attempt(attempt, { timeout: 60_000 });
  const [first, later] = [[false, false], [true, false]];
  assertEquals(known, [first, later, later, first, later, later]);
  await connection.close(1_000);
});

Deno.test("Connection.attempt that persists outlives a loss whose first attempt to reconnect fails; others are null", async () => {
  await using server = await startNatsServer();
  const logger = new CollectedLog();
  const connection = new Connection(
    new Settings(() => undefined),
    logger,
    { servers: server.url },
    (nc) => new Session(nc, logger),
  );
  await connection.connect();
  const persistent = connection.attempt(untilNext(), { timeout: 600_000, persist: true });
  const other = connection.attempt(untilNext(), { timeout: 600_000 });
  await server.kill();
  assertEquals(await within(other), null);
  await server.restart();
  assertEquals(await within(persistent), "done");
  await connection.close(1_000);
});
