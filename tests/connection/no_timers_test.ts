/** Tests of users that share a connection, made before them, must not be said to leak timers. */
import { assertEquals } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { type NatsServer, startNatsServer } from "../../src/testing/mod.ts";

let server: NatsServer;
let stores: JetStreamStores;

Deno.test.beforeAll(async () => {
  server = await startNatsServer();
  stores = new JetStreamStores({ servers: server.url, logger: false });
  await stores.kvBucket("b").put("k", "");
  await stores.objectBucket("o").put("made", "");
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
  ["ObjectBucket.get", () => stores.objectBucket("o").get("n")],
  ["JobQueue.publish", () => stores.jobQueue("q").publish("job")],
  ["JobQueue.counts", () => stores.jobQueue("q").counts()],
];

for (const [name, call] of CALLS) {
  Deno.test(`${name} leaves no timer`, { sanitizeOps: true, sanitizeResources: true }, async () => {
    assertEquals(await call() === null, false);
  });
}
