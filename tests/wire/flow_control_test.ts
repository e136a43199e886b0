import { assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { waitUntil } from "../_wait_until.ts";
import { CollectedLog } from "../connection/collected_log.ts";

Deno.test("OrderedConsumer asks the server to go on at flow-control subjects only, whoever else writes to its inbox", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({ servers: server.url, logger: new CollectedLog(), env: () => undefined });
  const [secrets, watched] = [stores.kvBucket("secrets"), stores.kvBucket("watched")];
  await secrets.put("a", "b");
  await watched.put("first", "1");
  const foreign = await connect({ servers: server.url });
  const inboxes: string[] = [];
  // Whoever may see API requests sees where the messages of a watch go.
  foreign.subscribe("$JS.API.CONSUMER.CREATE.KV_watched.>", {
    callback: (_, message) => {
      inboxes.push(message.json<{ config: { deliver_subject: string } }>().config.deliver_subject);
    },
  });
  await foreign.flush();
  const watch = watched.watch()[Symbol.asyncIterator]();
  try {
    assertEquals((await watch.next()).value?.key, "first");
    await waitUntil(() => inboxes.length > 0);
    for (const inbox of inboxes) {
      foreign.publish(inbox, "", { reply: "$JS.API.STREAM.DELETE.KV_secrets" });
    }
    await foreign.flush();
    await watched.put("second", "2");
    assertEquals((await watch.next()).value?.key, "second");
    await watched.put("third", "3");
    assertEquals((await watch.next()).value?.key, "third");
    assertEquals((await secrets.get("a"))?.text(), "b");
  } finally {
    await watch.return?.();
    await foreign.close();
  }
});
