import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Unavailable } from "../../src/connection/unavailable.ts";
import { JetStreamStoreError } from "../../src/errors.ts";
import { apiError } from "../../src/wire/api.ts";
import { deleteMessage } from "../../src/wire/streams.ts";
import { answersAtOnce } from "../_support/in_sync.ts";
import { KvStores } from "../_support/kv_stores.ts";
import { openSession } from "../_support/open_session.ts";
import { Proxy } from "../_support/proxy.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** The answer of a kind that says so. */
function refusal(kind: string, serverCode: number, description: string): string {
  const error = { code: 500, err_code: serverCode, description };
  return JSON.stringify({ type: `io.nats.jetstream.api.v1.${kind}`, error });
}

/** Changes the first answer of a kind into one that says so, and calls back; returns whether there was one. */
function changeFirst(proxy: Proxy, kind: string, answer: string, changing = () => {}): () => boolean {
  let changed = false;
  proxy.tampering.change = (_subject, payload) => {
    if (changed || !payload.includes(kind)) return undefined;
    changed = true;
    changing();
    return answer;
  };
  return () => changed;
}

Deno.test("apiError passes where nats-server 2.15 says that a stream is being removed, or its server shut down", () => {
  const closing = [
    [10096, "stream not valid"],
    [10057, "store is closed"],
    [10069, "store is closed"],
    [10077, "store is closed"],
    [10051, "stream closed"],
  ] as const;
  for (const [code, description] of closing) {
    assertInstanceOf(apiError({ code: 500, err_code: code, description }, "it"), Unavailable, description);
  }
  for (
    const [code, description] of [[10057, "no message found"], [10069, "cannot update: stream closed to it"]] as const
  ) {
    assertInstanceOf(apiError({ code: 500, err_code: code, description }, "it"), JetStreamStoreError, description);
  }
});

for (const cache of [false, true]) {
  Deno.test(`KvBucket ${cache ? "with a cache is in sync" : "is watched"} though its first consumer met a stream that was being removed`, async () => {
    await using server = await startNatsServer();
    await using proxy = new Proxy(server.url);
    await using stores = new KvStores({ servers: proxy.url });
    const bucket = stores.kvBucket("closing", { cache });
    await bucket.put("k", "v");
    const kind = "consumer_create_response";
    const wasChanged = changeFirst(proxy, kind, refusal(kind, 10096, "stream not valid"));
    if (cache) await waitUntil(() => answersAtOnce(bucket, "k"), 30_000);
    for await (const entry of bucket.watch()) {
      assertEquals(entry.text(), "v");
      break;
    }
    assert(wasChanged());
  });
}

Deno.test("deleteMessage takes no message as gone whose stream's store was closed", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: server.url });
  await stores.createStream({ name: "S_closing", subjects: ["closing"], allow_direct: true });
  await stores.publish("closing", "v");
  await using open = await openSession({ servers: proxy.url });
  const kind = "stream_msg_delete_response";
  // The first attempt does not reach the stream.
  proxy.tampering.replace = ["MSG.DELETE.S_closing", "MSG.DELETE.X_closing"];
  const reach = () => proxy.tampering.replace = undefined;
  const wasChanged = changeFirst(proxy, kind, refusal(kind, 10057, "store is closed"), reach);
  const deleted = open.connection.attempt((call) => deleteMessage(call, "S_closing", 1), { timeout: 10_000 });
  assertEquals(await deleted, true);
  assert(wasChanged());
  assertEquals(
    await open.connection.attempt((call) => deleteMessage(call, "S_closing", 1), { timeout: 10_000 }),
    false,
  );
});

Deno.test("KvBucket.create is confirmed though the server that stored it said that its store was closed", async () => {
  await using server = await startNatsServer();
  await using proxy = new Proxy(server.url);
  await using stores = new KvStores({ servers: proxy.url });
  const bucket = stores.kvBucket("closing");
  await bucket.put("k", "v");
  const error = { code: 503, err_code: 10077, description: "store is closed" };
  const wasChanged = changeFirst(
    proxy,
    '"stream":"KV_closing"',
    JSON.stringify({ error, stream: "KV_closing", seq: 0 }),
  );
  assertEquals(await bucket.create("l", "w"), 2);
  assert(wasChanged());
  assertEquals((await bucket.get("l"))?.text(), "w");
});
