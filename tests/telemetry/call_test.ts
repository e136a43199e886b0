import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { functionsOf, partsOf } from "../_support/calls.ts";
import { ForeignClient } from "../_support/foreign_client.ts";
import { openStores } from "../_support/open_stores.ts";
import { RecordedTelemetry, seen, withinSpan } from "./_recorded_telemetry.ts";

const telemetry = new RecordedTelemetry();

function names(): string[] {
  return telemetry.all.map(({ name }) => name);
}

Deno.test("calls of a KvBucket are spans, without a key or a value", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const bucket = stores.kvBucket("plans");
  telemetry.forget();
  const revision = await bucket.put("secret.key", "secret value");
  await bucket.get("secret.key");
  await bucket.getMany(["secret.key"]);
  await bucket.create("secret.other", "secret value");
  await bucket.update("secret.key", "secret value", revision!);
  await bucket.delete("secret.key");
  await bucket.purge("secret.key");
  await bucket.status();
  await bucket.destroy();
  const operations = ["put", "get", "getMany", "create", "update", "delete", "purge", "status", "destroy"];
  assertEquals(
    telemetry.all.map(seen),
    operations.map((operation) => ({
      kind: "CLIENT",
      name: `${operation} plans`,
      attributes: {
        "db.system.name": "nats",
        "db.namespace": "plans",
        "db.operation.name": operation,
        "server.address": "127.0.0.1",
        "server.port": server.port,
      },
      failed: false,
      message: undefined,
      events: [],
      links: [],
    })),
  );
});

Deno.test("calls of an ObjectBucket are spans, each of which ends with the call", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const bucket = stores.objectBucket("reports");
  telemetry.forget();
  await bucket.put("secret", "secret");
  await bucket.putStream("secret", new Blob(["secret"]).stream());
  await bucket.get("secret");
  await bucket.getText("secret");
  await (await bucket.getStream("secret"))?.cancel();
  await bucket.info("secret");
  await bucket.delete("secret");
  await bucket.status();
  await bucket.destroy();
  const operations = ["put", "putStream", "get", "get", "getStream", "info", "delete", "status", "destroy"];
  assertEquals(names(), operations.map((operation) => `${operation} reports`));
});

Deno.test("calls of the functions are spans within their caller's", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  telemetry.forget();
  await withinSpan("request", async () => {
    await stores.storeHealthcheck("https://example.com/", "{}");
    await stores.loadHealthcheck("https://example.com/");
    await stores.storeKV("k", "v");
    await stores.loadKV("k");
    await stores.deleteKV("k");
  });
  const [request] = await telemetry.spans("request", 1);
  const calls = ["put supercheck", "get supercheck", "put supercheck_kv", "get supercheck_kv", "delete supercheck_kv"];
  assertEquals(names(), [...calls, "request"]);
  for (const span of telemetry.all.slice(0, -1)) {
    assertEquals(span.parentSpanContext?.spanId, request.spanContext().spanId);
  }
});

Deno.test("a call that finds nothing has succeeded, one without NATS or that is refused has failed", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  await client.api("STREAM.CREATE.KV_taken", { name: "KV_taken", subjects: ["taken"] });
  telemetry.forget();
  assertEquals(await stores.kvBucket("none").get("k"), null);
  await assertRejects(() => stores.kvBucket("taken").put("secret", "v"), JetStreamStoreError);
  await server.stop();
  assertEquals(await stores.kvBucket("none").get("secret"), null);
  assertEquals(
    telemetry.all.map((span) => [span.name, span.status, span.attributes["error.type"]]),
    [
      ["get none", { code: 0 }, undefined],
      ["put taken", { code: 2 }, "wrong_kind"],
      ["get none", { code: 2 }, "unavailable"],
    ],
  );
});

Deno.test("every call of a bucket that is null without NATS is a failed span", async () => {
  await using stores = openStores(undefined);
  const api = functionsOf(stores);
  for (const { name, calls, target } of partsOf(api).filter(({ name }) => /Bucket$/.test(name))) {
    for (const [method, { good }] of Object.entries(calls).filter(([, { gives }]) => gives === "null")) {
      telemetry.forget();
      assertEquals(await good(target(api)), null, `${name}.${method}`);
      const [span] = telemetry.all;
      assertEquals(span?.attributes["error.type"], "unavailable", `${name}.${method}`);
      assertEquals(span.attributes["db.namespace"], "b", `${name}.${method}`);
    }
  }
});

Deno.test("a read that the cache answers is no span", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const bucket = stores.kvBucket("mirrored", { cache: true });
  await bucket.put("k", "v");
  telemetry.forget();
  for (let before = -1; before !== names().length;) {
    before = names().length;
    assertEquals((await bucket.get("k"))?.text(), "v");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});
