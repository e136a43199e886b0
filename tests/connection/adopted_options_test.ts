import { assertEquals } from "@std/assert";
import { connect as connectNode } from "@nats-io/transport-node";
import { connect as connectVersion2 } from "nats";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { within } from "../_support/wait_until.ts";

const CLIENTS = [["@nats-io/transport-node", connectNode], ["npm:nats 2", connectVersion2]] as const;

/** Options that change what a connection does, and must change nothing here. */
const OPTIONS = [
  { pedantic: true },
  { verbose: true },
  { noAsyncTraces: true },
  { ignoreClusterUpdates: true, noRandomize: true },
  { inboxPrefix: "own.inbox" },
];

for (const [client, connect] of CLIENTS) {
  for (const options of OPTIONS) {
    Deno.test(`useConnection works over a connection of ${client} with ${JSON.stringify(options)}`, async () => {
      await using server = await startNatsServer();
      const nc = await connect({ servers: server.url, ...options });
      const stores = new JetStreamStores({ logger: false });
      stores.useConnection(nc);
      const [bucket, objects, queue] = [stores.kvBucket("b"), stores.objectBucket("o"), stores.jobQueue<string>("q")];
      await bucket.put("k", "v");
      assertEquals((await bucket.get("k"))?.text(), "v");
      assertEquals(await Array.fromAsync(bucket.keys()), ["k"]);
      await objects.put("n", "object");
      assertEquals(await objects.getText("n"), "object");
      const worker = queue.consume((job) => job.data.toUpperCase());
      const receipt = await queue.publish("done", { keepResult: 60_000 });
      assertEquals(await within(queue.waitFor(receipt!.id, { timeout: 20_000 })), "DONE");
      await worker.stop();
      await stores.close();
      await nc.close();
    });
  }
}
