import { connect } from "@nats-io/transport-node";
import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError, JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { Proxy } from "../_support/proxy.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

/** Whether a payload is a reply of the JetStream API or an acknowledgement of the stream. */
const isReply = (payload: string) => /^\{"(type|stream|error)":/.test(payload);

/** What the replies are damaged to: not JSON, and JSON of another shape. */
const DAMAGED = ["", '{"type":"io.nats', "\u0000\u0001", "null", "5", "{}"];

/** Calls that ask the API of the server or wait for an acknowledgement, with what they give. */
function calls(stores: JetStreamStores): [name: string, call: () => Promise<unknown>, result: unknown][] {
  const [kv, objects, queue] = [stores.kvBucket("b"), stores.objectBucket("leader"), stores.jobQueue("q")];
  return [
    ["KvBucket.put", async () => typeof await kv.put("k", "v"), "number"],
    ["KvBucket.create", async () => typeof await kv.create(crypto.randomUUID(), "v"), "number"],
    ["KvBucket.delete", () => kv.delete("gone"), true],
    ["KvBucket.status", async () => (await kv.status())?.bucket, "b"],
    ["ObjectBucket.put", async () => (await objects.put("o", "text"))?.size, 4],
    ["ObjectBucket.get", async () => new TextDecoder().decode((await objects.get("o"))!), "text"],
    ["ObjectBucket.getStream", async () => await new Response(await objects.getStream("o")).text(), "text"],
    ["JobQueue.publish", async () => (await queue.publish(1))?.duplicate, false],
    ["JobQueue.counts", async () => (await queue.counts())?.dead, 0],
  ];
}

/** A server with a bucket that is read through the API only. */
async function start(timeout: number = 10_000) {
  const server = await startNatsServer();
  const proxy = new Proxy(server.url);
  const logger = { info() {}, warn() {}, error() {} };
  const stores = new JetStreamStores({
    connectTimeout: TIMEOUT_MS,
    servers: proxy.url,
    env: () => undefined,
    logger,
    timeout,
  });
  await stores.objectBucket("leader").put("o", "text");
  await stores.kvBucket("b").put("k", "v");
  await stores.jobQueue("q").publish(1);
  const nc = await connect({ servers: server.url });
  const info = (await nc.request("$JS.API.STREAM.INFO.OBJ_leader", "", { timeout: 10_000 })).json<{ config: object }>();
  await nc.request("$JS.API.STREAM.UPDATE.OBJ_leader", JSON.stringify({ ...info.config, allow_direct: false }), {
    timeout: 10_000,
  });
  await nc.close();
  return {
    stores,
    proxy,
    async [Symbol.asyncDispose]() {
      await stores.close();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

Deno.test("calls whose reply is damaged ask again, and give what they would have given", async () => {
  await using open = await start();
  for (const [name, call, result] of calls(open.stores)) {
    for (const damaged of DAMAGED) {
      let left = 1;
      open.proxy.tampering.change = (_subject, payload) => isReply(payload) && left-- > 0 ? damaged : undefined;
      assertEquals(await call(), result, `${name}, damaged to ${JSON.stringify(damaged)}`);
      assertEquals(left < 1, true, name);
    }
  }
});

Deno.test("calls whose replies are all damaged throw 'server' when their deadline passes", async () => {
  await using open = await start();
  open.proxy.tampering.change = (_subject, payload) => isReply(payload) ? "not JSON" : undefined;
  await Promise.all(
    calls(open.stores).map(async ([name, call]) => {
      const error = await assertRejects(call, JetStreamStoreError, "cannot be read", name);
      assertEquals(error.code, "server");
    }),
  );
});

Deno.test("a call of whose replies one is damaged and the others are lost throws 'server'", async () => {
  await using open = await start(8_000);
  let replies = 0;
  open.proxy.tampering.change = (_subject, payload) => isReply(payload) && replies++ === 0 ? "not JSON" : undefined;
  open.proxy.tampering.drop = (_subject, payload) => isReply(payload) && replies > 0;
  const error = await assertRejects(() => open.stores.kvBucket("b").create("other", "v"), JetStreamStoreError);
  assertEquals(error.code, "server");
});
