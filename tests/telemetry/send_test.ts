import { context, createTraceState, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { JetStreamStoreError } from "../../mod.ts";
import { lacks } from "../_support/test_from.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { ForeignClient } from "../_support/foreign_client.ts";
import { openStores } from "../_support/open_stores.ts";
import { RecordedTelemetry, seen, withinSpan } from "./_recorded_telemetry.ts";

const telemetry = new RecordedTelemetry();

/** The attributes that all messaging spans of a queue have. */
function sending(queue: string, port: number): Record<string, unknown> {
  return {
    "messaging.system": "nats",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": queue,
    "server.address": "127.0.0.1",
    "server.port": port,
  };
}

Deno.test("publish is a span of its caller's, and its job takes the trace along", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  await stores.connect();
  await withinSpan("request", () => stores.publishJob("mails", { secret: "s3cret" }, { id: "m-1" }));
  const [[span], [request]] = await Promise.all([telemetry.spans("send mails", 1), telemetry.spans("request", 1)]);
  assertEquals(seen(span), {
    kind: "PRODUCER",
    name: "send mails",
    attributes: { ...sending("mails", server.port), "messaging.message.id": "m-1" },
    failed: false,
    message: undefined,
    events: [],
    links: [],
  });
  assertEquals(span.parentSpanContext?.spanId, request.spanContext().spanId);
  const [message] = await client.messages("WQ_mails");
  const { traceId, spanId } = span.spanContext();
  assertEquals(message.headers.traceparent, `00-${traceId}-${spanId}-01`);
  assertEquals(message.headers.baggage, undefined);
});

Deno.test("publishMany is one span, which all of its jobs name", async () => {
  for (const atomic of [false, true]) {
    await using server = await startNatsServer();
    await using stores = openStores(server.url);
    await using client = await ForeignClient.connect(server.url);
    await stores.connect();
    const queue = `many-${atomic}`;
    await stores.jobQueue(queue).publishMany([{ data: 1, id: "a" }, { data: 2, id: "b" }, { data: 3 }], { atomic });
    const [span, ...more] = await telemetry.spans(`send ${queue}`, 1);
    assertEquals(more, []);
    assertEquals(span.attributes, { ...sending(queue, server.port), "messaging.batch.message_count": 3 });
    const { traceId, spanId } = span.spanContext();
    assertEquals(
      (await client.messages(`WQ_${queue}`)).map(({ headers }) => headers.traceparent),
      Array(3).fill(`00-${traceId}-${spanId}-01`),
    );
  }
});

Deno.test("publish keeps a traceparent that its caller gives, whatever its case, and links to it", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  for (const [name, spanId] of [["traceparent", "00f067aa0ba902b7"], ["Traceparent", "00f067aa0ba902b8"]]) {
    // Servers before 2.14 store the second one under another name.
    if (name === "Traceparent" && lacks("2.14")) continue;
    const given = `00-4bf92f3577b34da6a3ce929d0e0e4736-${spanId}-01`;
    await stores.publishJob(name, 1, { headers: { [name]: given, tracestate: "a=b" } });
    const [span] = await telemetry.spans(`send ${name}`, 1);
    assertEquals(span.links.map(({ context }) => context.spanId), [spanId]);
    const [{ headers }] = await client.messages(`WQ_${name}`);
    const { [name]: kept, tracestate } = headers;
    assertEquals({ kept, tracestate }, { kept: given, tracestate: "a=b" });
    assertEquals(Object.keys(headers).filter((header) => header.toLowerCase() === "traceparent"), [name]);
  }
});

Deno.test("publish carries on the tracestate of its caller's trace", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  const remote = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
    spanId: "00f067aa0ba902b7",
    traceFlags: 1,
    traceState: createTraceState("vendor=opaque"),
  });
  await context.with(remote, () => stores.publishJob("stateful", 1));
  const [{ headers }] = await client.messages("WQ_stateful");
  assertEquals(headers.tracestate, "vendor=opaque");
  assertEquals(headers.traceparent.slice(3, 35), "4bf92f3577b34da6a3ce929d0e0e4736");
});

Deno.test("publish that is not confirmed, or refused, is a failed span without the message of its error", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using hasty = openStores(server.url, { timeout: 1_500 });
  await hasty.connect();
  await using client = await ForeignClient.connect(server.url);
  await stores.publishJob("failing", 1);
  await client.update("WQ_failing", { max_msg_size: 1_000 });
  const big = "x".repeat(2_000);
  await assertRejects(() => stores.publishJob("failing", big, { id: "big" }), JetStreamStoreError);
  await client.api("STREAM.DELETE.WQ_failing");
  await server.stop();
  assertEquals(await hasty.publishJob("failing", 1, { id: "gone" }), null);
  const [, refused, unconfirmed] = await telemetry.spans("send failing", 3);
  for (const [span, error] of [[refused, "limits"], [unconfirmed, "unavailable"]] as const) {
    const { failed, message, events } = seen(span) as { failed: boolean; message: unknown; events: unknown };
    assertEquals({ failed, message, events }, { failed: true, message: undefined, events: [] });
    assertEquals(span.attributes["error.type"], error);
  }
});

Deno.test("publish of a wrong argument is no span", async () => {
  await using stores = openStores(undefined);
  await assertRejects(() => stores.publishJob("wrong", undefined), TypeError);
  await assertRejects(() => stores.publishJob("wrong", 1, { delay: -1 }), RangeError);
  assertEquals(await stores.jobQueue("wrong").publishMany([]), null);
  assert(!telemetry.all.some(({ name }) => name === "send wrong"));
});
