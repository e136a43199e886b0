import { assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { JetStreamStores } from "../../../mod.ts";
import { startNatsServer } from "../../../src/testing/mod.ts";
import { Proxy } from "../../_support/proxy.ts";
import { waitUntil, within } from "../../_support/wait_until.ts";
import { CollectedLog } from "../../_support/collected_log.ts";
import { TIMEOUT_MS } from "../../_support/open_stores.ts";

Deno.test("OrderedConsumer publishes nothing to the reply subjects of messages, whoever writes to its inbox", async () => {
  await using server = await startNatsServer();
  await using stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: server.url,
    logger: new CollectedLog(),
    env: () => undefined,
  });
  const [secrets, watched] = [stores.kvBucket("secrets"), stores.kvBucket("watched")];
  await secrets.put("a", "b");
  await watched.put("first", "1");
  const foreign = await connect({ servers: server.url });
  const inboxes: string[] = [];
  // Whoever may see API requests sees where the messages of a watch go.
  foreign.subscribe("$JS.API.CONSUMER.MSG.NEXT.KV_watched.>", {
    callback: (_, { reply }) => void inboxes.push(reply!),
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

Deno.test("KvBucket.watch begins again where the last message was lost and nothing follows", async () => {
  await using server = await startNatsServer();
  let lost = 0;
  await using proxy = new Proxy(server.url, {
    drop: (subject, payload) => subject === "$KV.b.last" && payload.includes("value") && lost++ === 0,
  });
  await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: proxy.url, logger: false });
  const bucket = stores.kvBucket("b");
  await bucket.put("first", "value");
  const watch = bucket.watch()[Symbol.asyncIterator]();
  assertEquals((await within(watch.next())).value?.key, "first");
  const next = watch.next();
  await bucket.put("last", "value");
  assertEquals((await within(next)).value?.key, "last");
  assertEquals(lost, 2);
  await watch.return?.();
});

for (const history of [1, 2]) {
  Deno.test(`KvBucket.entries continues where its loop takes longer than the server keeps an idle consumer, with a history of ${history}`, async () => {
    await using server = await startNatsServer();
    await using stores = new JetStreamStores({ connectTimeout: TIMEOUT_MS, servers: server.url, logger: false });
    const bucket = stores.kvBucket("b", { history });
    // More than one pull brings.
    for (const key of ["a", "b", "c", "d", "e"]) await bucket.put(key, new Uint8Array(900_000));
    const keys: string[] = [];
    for await (const { key } of bucket.entries()) {
      keys.push(key);
      // A consumer that nobody asks for messages is removed after 12 s.
      if (keys.length === 1) await new Promise((resolve) => setTimeout(resolve, 14_000));
    }
    assertEquals(keys, ["a", "b", "c", "d", "e"]);
    const { consumer_count } = (await server.monitor("/jsz?streams=true&consumers=true") as unknown as {
      account_details: { stream_detail: { state: { consumer_count: number } }[] }[];
    }).account_details[0].stream_detail[0].state;
    assertEquals(consumer_count, 0);
  });
}
