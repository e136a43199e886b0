import { metrics, trace } from "@opentelemetry/api-copy";
import { BasicTracerProvider, MeterProvider } from "@opentelemetry/sdk";
import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { ForeignClient } from "../_support/foreign_client.ts";
import { openStores } from "../_support/open_stores.ts";
import { ManualReader, RecordedSpans } from "./_recorded_telemetry.ts";

Deno.test("a provider that is registered later, through another copy of the API, is found; before, jobs carry no trace", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  const queue = stores.jobQueue("late");
  await queue.publish(1);
  await stores.storeKV("k", "v");
  const [{ headers }] = await client.messages("WQ_late");
  assertEquals(Object.keys(headers), ["Nats-Msg-Id"]);

  const spans = new RecordedSpans();
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [spans] }));
  const reader = new ManualReader();
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  await queue.publish(2);
  await stores.storeKV("k", "v");
  assertEquals(spans.ended.map(({ name }) => name), ["send late", "put supercheck_kv"]);
  const { resourceMetrics } = await reader.collect();
  const names = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics.map(({ descriptor }) => descriptor.name));
  assert(
    names.includes("messaging.client.sent.messages") && names.includes("db.client.operation.duration"),
    `${names}`,
  );
});
