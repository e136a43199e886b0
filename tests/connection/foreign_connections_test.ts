import { assertEquals } from "@std/assert";
import { wsconnect } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { makeCertificates } from "../_support/make_certificates.ts";
import { CollectedLog } from "../_support/collected_log.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** Resolves when a connection has come back. */
async function back(status: AsyncIterable<{ type: string }>): Promise<void> {
  for await (const { type } of status) {
    if (type === "reconnect") return;
  }
}

Deno.test("connections of the program's own come back over their own transport after JetStreamStores has connected", async () => {
  await using certificates = await makeCertificates();
  const { ca, cert, key } = certificates;
  await using server = await startNatsServer({ tls: { cert, key } });
  await using other = await startNatsServer({ websocket: true });
  const own = await connect({
    servers: server.url,
    tls: { caFile: ca },
    reconnectTimeWait: 20,
    reconnectJitterTLS: 20,
    maxReconnectAttempts: -1,
  });
  for (const servers of [other.url, other.websocketUrl]) {
    await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers, logger: new CollectedLog() });
    await stores.connect();
    const returned = back(own.status());
    await server.restart();
    await returned;
    await own.flush();
  }
  await own.close();
});

Deno.test("JetStreamStores of both transports connect at the same moment, whatever the program connected before", async () => {
  await using server = await startNatsServer({ websocket: true });
  const own = await wsconnect({ servers: server.websocketUrl });
  const stores = Array.from(
    { length: 20 },
    (_, i) =>
      new JetStreamStores({
        connectTimeout: TIMEOUT_MS,
        servers: i % 2 ? server.url : server.websocketUrl,
        logger: new CollectedLog(),
      }),
  );
  const infos = await Promise.all(stores.map((one) => one.connect()));
  assertEquals(infos.map((info) => info?.serverName), stores.map(() => server.name));
  await Promise.all([own.close(), ...stores.map((one) => one.close())]);
});
