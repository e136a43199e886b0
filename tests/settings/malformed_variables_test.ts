import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStores } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { CollectedLog } from "../_support/collected_log.ts";

function storesWith(variables: Record<string, string>): JetStreamStores {
  return new JetStreamStores({ env: (name) => variables[name], logger: new CollectedLog() });
}

const AWAY = { SUPERCHECK_NATS_URL: "nats://127.0.0.1:1" };

const WAYS_IN: [Record<string, string>, string][] = [
  [
    { SUPERCHECK_NATS_URL: "http://a" },
    "each of SUPERCHECK_NATS_URL must look like nats://host:port (or tls://, ws://, wss://): number 1 of 1 has another scheme",
  ],
  [{ SUPERCHECK_NATS_URL: "nats://bob:s3cr3t@:x" }, "number 1 of 1 is no URL"],
  [{ SUPERCHECK_NATS_URL: "nats://a,wss://b" }, "SUPERCHECK_NATS_URL must not mix websocket"],
  [{ ...AWAY, SUPERCHECK_NATS_NKEY_SEED: "s3cr3t" }, "SUPERCHECK_NATS_NKEY_SEED must be the seed of a user (SU…)"],
  [
    { ...AWAY, SUPERCHECK_NATS_TLS_CERT: "/c" },
    "of SUPERCHECK_NATS_TLS_CA, _CERT and _KEY the certificate and the key must be given together",
  ],
  [
    { SUPERCHECK_NATS_URL: "ws://a", SUPERCHECK_NATS_TLS_CA: "/c" },
    "SUPERCHECK_NATS_TLS_CA, _CERT and _KEY must not be given for websockets",
  ],
];

for (const [variables, message] of WAYS_IN) {
  const [name, value] = Object.entries(variables).at(-1)!;
  Deno.test(`a malformed ${name} (${value}) is a RangeError from whatever needs the connection, not from handles`, async () => {
    await using stores = storesWith(variables);
    const bucket = stores.kvBucket("b");
    for (
      const call of [
        () => stores.connect(),
        () => stores.loadKV("k"),
        () => stores.storeKV("k", "v"),
        () => stores.loadHealthcheck("u"),
        () => stores.publishJob("q", 1),
        () => bucket.get("k"),
      ]
    ) {
      const error = await assertRejects(call, RangeError, message);
      assertEquals(error.message.includes("s3cr3t"), false);
    }
    assertEquals(stores.connectionStatus(), "none");
  });
}

Deno.test("a malformed SUPERCHECK_NATS_KV_TTL_SECS is a RangeError from storeKV, also without a connection, and from no other part", async () => {
  await using server = await startNatsServer();
  for (const url of [server.url, "nats://127.0.0.1:1"]) {
    await using stores = storesWith({ SUPERCHECK_NATS_URL: url, SUPERCHECK_NATS_KV_TTL_SECS: "1 day" });
    await assertRejects(
      () => stores.storeKV("k", "v"),
      RangeError,
      `Cannot use SUPERCHECK_NATS_KV_TTL_SECS as it must be a whole number from 1 to 4000000000: current value is "1 day"`,
    );
    assertEquals(await stores.loadKV("k"), null);
    assertEquals(await stores.deleteKV("k"), url === server.url ? true : null);
    assertEquals(await stores.storeHealthcheck("u", "{}") !== null, url === server.url);
    assertEquals(await stores.publishJob("q", 1) !== null, url === server.url);
  }
});

Deno.test("a malformed SUPERCHECK_NATS_REPLICAS is a RangeError from what makes a bucket or a queue", async () => {
  await using server = await startNatsServer();
  await using stores = storesWith({ SUPERCHECK_NATS_URL: server.url, SUPERCHECK_NATS_REPLICAS: "many" });
  for (
    const call of [
      () => stores.storeKV("k", "v"),
      () => stores.storeHealthcheck("u", "{}"),
      () => stores.publishJob("q", 1),
    ]
  ) await assertRejects(call, RangeError, "Cannot use SUPERCHECK_NATS_REPLICAS");
  assertEquals(await stores.loadKV("k"), null);
  assertEquals(await stores.loadHealthcheck("u"), null);
  assertEquals(await stores.kvBucket("b", { replicas: 1 }).put("k", "v"), 1);
});
