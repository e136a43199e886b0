import { assertEquals } from "@std/assert";
import { connect as connectNode } from "@nats-io/transport-node";
import { connect as connectVersion2 } from "nats";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";

/** What the clients have in common. */
interface Owned {
  close(): Promise<void>;
  status(): AsyncIterable<{ type: string }>;
}

const RECONNECT = { reconnectTimeWait: 20, maxReconnectAttempts: -1 };

const CLIENTS: [string, (url: string) => Promise<Owned>][] = [
  ["@nats-io/transport-node", (servers) => connectNode({ servers, ...RECONNECT })],
  ["npm:nats 2", (servers) => connectVersion2({ servers, ...RECONNECT }) as Promise<Owned>],
];

for (const [client, connect] of CLIENTS) {
  Deno.test(`JetStreamStores survives that the owner closes the connection of ${client} the moment it is back`, async () => {
    await using server = await startNatsServer();
    const nc = await connect(server.url);
    const closed = (async () => {
      // Heard here before the stores hear of it.
      for await (const { type } of nc.status()) if (type === "reconnect") return await nc.close();
    })();
    const logger = new CollectedLog();
    await using stores = new JetStreamStores({ logger, env: () => undefined });
    stores.useConnection(nc);
    assertEquals(await stores.storeKV("k", "v"), 1);
    await server.restart();
    await closed;
    await logger.until(/closed by its owner/);
    assertEquals(stores.connectionStatus(), "closed");
    assertEquals(await stores.loadKV("k"), null);
    assertEquals((await stores.connect({ servers: server.url }))?.serverName, server.name);
    assertEquals((await stores.loadKV("k"))?.val, "v");
  });
}
