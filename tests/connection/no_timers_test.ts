/** Tests of users that share a connection, made before them, must not be said to leak timers. */
import { assertEquals } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";
import { TIMEOUT_MS } from "../_support/open_stores.ts";

let server: NatsServer;
let stores: JetStreamStores;

Deno.test.beforeAll(async () => {
  server = await startNatsServer();
  stores = new JetStreamStores({
    servers: server.url,
    pingInterval: 600_000,
    connectTimeout: TIMEOUT_MS,
    logger: false,
  });
  await stores.kvBucket("b").put("k", "");
  await stores.objectBucket("o").put("made", "first");
  await stores.storeHealthcheck("https://example.com/", "{}");
  await stores.jobQueue("q").publish("made");
});

Deno.test.afterAll(async () => {
  await stores.close();
  await server[Symbol.asyncDispose]();
});

const CALLS: [string, () => Promise<unknown>][] = [
  ["KvBucket.put", () => stores.kvBucket("b").put("k", "v")],
  ["KvBucket.get", () => stores.kvBucket("b").get("k")],
  ["KvBucket.getMany", () => stores.kvBucket("b").getMany(["k"])],
  ["ObjectBucket.put of a new object", () => stores.objectBucket("o").put("n", "v")],
  ["ObjectBucket.put in place of an object", () => stores.objectBucket("o").put("made", "again")],
  ["ObjectBucket.delete", () => stores.objectBucket("o").delete("n")],
  ["storeHealthcheck in place of a result", () => stores.storeHealthcheck("https://example.com/", "{}")],
  ["ObjectBucket.get", () => stores.objectBucket("o").get("made")],
  ["JobQueue.publish", () => stores.jobQueue("q").publish("job")],
  ["JobQueue.counts", () => stores.jobQueue("q").counts()],
];

for (const [name, call] of CALLS) {
  Deno.test(`${name} leaves no timer`, { sanitizeOps: true, sanitizeResources: true }, async () => {
    assertEquals(await call() === null, false);
  });
}
