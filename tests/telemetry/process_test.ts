import { trace } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk";
import { assert, assertEquals } from "@std/assert";
import { type Job, RetryJobError, UnrecoverableJobError } from "../../mod.ts";
import { startNatsServer } from "../../src/testing/mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { ForeignClient } from "../_support/foreign_client.ts";
import { openStores } from "../_support/open_stores.ts";
import { RecordedTelemetry, seen, withinSpan } from "./_recorded_telemetry.ts";

const telemetry = new RecordedTelemetry();
const test = testFrom("2.14");

/** Which attempt each span was, and how that ended. */
function runs(spans: ReadableSpan[]): unknown[] {
  return spans.map(({ attributes, events, status }) => ({
    attempt: attributes["job.attempt"],
    error: attributes["error.type"],
    failed: status.code === 2,
    events: events.map(({ name }) => name),
  }));
}

/** Asserts that all have the parent. */
function assertChildren(spans: ReadableSpan[], parent: ReadableSpan): void {
  const { traceId, spanId } = parent.spanContext();
  for (const span of spans) {
    assertEquals([span.spanContext().traceId, span.parentSpanContext?.spanId], [traceId, spanId]);
  }
}

test("a run is a child of its publish, and what its handler does is part of it", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  let active: string | undefined;
  stores.consumeJobs("mails", async () => {
    active = trace.getActiveSpan()?.spanContext().spanId;
    await new Promise((resolve) => setTimeout(resolve, 1));
    await stores.storeKV("a secret key", "a secret value");
  });
  await withinSpan("request", () => stores.publishJob("mails", { secret: "s3cret" }, { id: "m-1" }));
  const [[run], [send], [put]] = await Promise.all([
    telemetry.spans("process mails", 1),
    telemetry.spans("send mails", 1),
    telemetry.spans("put supercheck_kv", 1),
  ]);
  assertEquals(seen(run), {
    kind: "CONSUMER",
    name: "process mails",
    attributes: {
      "messaging.system": "nats",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": "mails",
      "messaging.message.id": "m-1",
      "job.attempt": 1,
      "server.address": "127.0.0.1",
      "server.port": server.port,
    },
    failed: false,
    message: undefined,
    events: ["job.completed"],
    links: [],
  });
  assertChildren([run], send);
  assertChildren([put], run);
  assertEquals(active, run.spanContext().spanId);
  const told = JSON.stringify(telemetry.all.map(seen));
  assert(!told.includes("secret") && !told.includes("s3cret"), told);
});

/** Handlers' errors by attempt: a retry, a postponed run, a death. */
const failing = (job: Job): void => {
  if (job.attempt === 1 && job.postponed === 0) throw new RetryJobError({ delay: 20 });
  if (job.attempt === 1) throw new TypeError("wrong: s3cret");
  throw new UnrecoverableJobError("never");
};

for (const [way, options] of Object.entries({ plain: {}, delayed: { delay: 50 }, keyed: { key: "k" } })) {
  test(`all runs of a ${way} job, and those of its redrive, are children of its publish`, async () => {
    await using server = await startNatsServer();
    await using stores = openStores(server.url);
    const queue = stores.jobQueue(way);
    await using worker = queue.consume(failing, { backoff: 20 });
    await queue.publish(1, { id: "a", ...options });
    const [send] = await telemetry.spans(`send ${way}`, 1);
    await waitUntil(async () => await queue.deadLetter("a") !== null);
    const first = await telemetry.spans(`process ${way}`, 3);
    const three = [
      { attempt: 1, error: undefined, failed: false, events: ["job.postponed"] },
      { attempt: 1, error: "TypeError", failed: true, events: ["job.retried"] },
      { attempt: 2, error: "UnrecoverableJobError", failed: true, events: ["job.dead"] },
    ];
    assertEquals(runs(first), three);
    assertEquals((await queue.deadLetter("a"))?.headers.traceparent?.slice(3, 35), send.spanContext().traceId);
    assertEquals(await queue.redrive("a"), 1);
    await waitUntil(async () => await queue.deadLetter("a") !== null);
    const all = await telemetry.spans(`process ${way}`, 6);
    assertEquals(runs(all), [...three, ...three]);
    assertChildren(all, send);
    await worker.stop();
  });
}

test("a run is a child of what another client's job names, also as Go writes it, and a root where that is malformed", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  await using client = await ForeignClient.connect(server.url);
  const [traceId, spanId] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
  const malformed = [
    "",
    "junk",
    `00-${traceId}-${spanId}`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${traceId}-${spanId}-zz`,
  ];
  const given: Record<string, string>[] = [
    { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "vendor=opaque" },
    { Traceparent: `00-${traceId}-${spanId}-01`, Tracestate: "vendor=opaque" },
    ...malformed.map((traceparent) => ({ traceparent })),
  ];
  await using worker = stores.jobQueue("foreign").consume(() => {});
  await stores.jobQueue("foreign").open();
  for (const [index, headers] of given.entries()) {
    await client.publish(`wq.foreign.ready.normal.${index}`, "1", headers);
  }
  const spans = await telemetry.spans("process foreign", given.length);
  const parents = spans.toSorted((a, b) =>
    Number(a.attributes["messaging.message.id"]) - Number(b.attributes["messaging.message.id"])
  ).map((span) => span.parentSpanContext?.spanId);
  assertEquals(parents, [spanId, spanId, ...malformed.map(() => undefined)]);
  const states = spans.map((span) => span.spanContext().traceState?.serialize()).filter((state) => state !== undefined);
  assertEquals(states, ["vendor=opaque", "vendor=opaque"]);
  await worker.stop();
});

test("a run of a job that names no trace is a root, whatever was active as its worker began", async () => {
  await using server = await startNatsServer({ websocket: true });
  await using client = await ForeignClient.connect(server.url);
  // It connects within the span: what comes by this WebSocket is read in the span's context ever after.
  await using _stores = await withinSpan("starts a worker", async () => {
    const stores = openStores(server.websocketUrl);
    stores.jobQueue("rootless").consume(() => {});
    await stores.jobQueue("rootless").open();
    return stores;
  });
  await client.publish("wq.rootless.ready.normal.a", "1");
  const [run] = await telemetry.spans("process rootless", 1);
  assertEquals(run.parentSpanContext, undefined);
});

test("a batch is one run with links to the publishes of its jobs", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("batched");
  await queue.publish(1);
  await queue.publish(2);
  await queue.publishMany([{ data: 3 }, { data: 4 }]);
  const sends = await telemetry.spans("send batched", 3);
  let active: string | undefined;
  await using worker = queue.consumeBatches((jobs) => {
    active = trace.getActiveSpan()?.spanContext().spanId;
    return jobs.map(({ data }) => data === 2 ? new UnrecoverableJobError("no") : undefined);
  }, { size: 4, wait: 20_000 });
  const [run] = await telemetry.spans("process batched", 1);
  assertEquals(run.links.map(({ context }) => context.spanId), sends.map((send) => send.spanContext().spanId));
  assertEquals([run.parentSpanContext, run.attributes["messaging.batch.message_count"]], [undefined, 4]);
  assertEquals([active, run.attributes["job.attempt"]], [run.spanContext().spanId, undefined]);
  await worker.stop();
});

test("ticks of a schedule are roots, each in a trace of its own", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue("ticking");
  await using worker = queue.consume(() => {});
  await withinSpan("schedules", () => queue.schedule("s", { every: 1_000, data: 1 }));
  const spans = await telemetry.spans("process ticking", 2);
  assertEquals(spans.map(({ parentSpanContext }) => parentSpanContext), spans.map(() => undefined));
  await worker.stop();
});

test("a job that is updated, rescheduled and promoted keeps its trace", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("changed");
  await queue.publish(1, { id: "a", delay: 3_600_000 });
  assertEquals(await queue.update("a", 2), true);
  assertEquals(await queue.reschedule("a", { delay: 1_800_000 }), true);
  assertEquals(await queue.promote("a"), true);
  await using worker = queue.consume(() => {});
  const [[run], [send]] = await Promise.all([
    telemetry.spans("process changed", 1),
    telemetry.spans("send changed", 1),
  ]);
  assertChildren([run], send);
  await worker.stop();
});

/** Values that a handler throws, each with what its span says: never a text that somebody made. */
const THROWN: [unknown, string][] = [
  [new TypeError("secret"), "TypeError"],
  [new DOMException("secret", "DataError"), "DataError"],
  ["secret", "_OTHER"],
  [undefined, "_OTHER"],
  [{ name: "secret" }, "_OTHER"],
  [Object.assign(new Error(), { name: "a secret of many words" }), "_OTHER"],
  [Object.defineProperty(new Error(), "name", { get: () => fail() }), "_OTHER"],
  [new Proxy({}, { get: fail, getPrototypeOf: fail }), "_OTHER"],
];

function fail(): never {
  throw new Error("secret");
}

test("a run that times out, or throws whatever, is a failed span with its kind and no text of it", async () => {
  await using server = await startNatsServer();
  await using stores = openStores(server.url);
  const queue = stores.jobQueue<number>("throwing");
  await queue.publishMany([...THROWN.keys(), THROWN.length].map((data) => ({ data, id: `${data}`, maxAttempts: 1 })));
  telemetry.forget();
  await using worker = queue.consume(async ({ data, signal }) => {
    if (data < THROWN.length) throw THROWN[data][0];
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }, { timeout: 500 });
  const spans = await telemetry.spans("process throwing", THROWN.length + 1);
  const types = spans.map(({ attributes }) => [attributes["messaging.message.id"], attributes["error.type"]]);
  const expected = [...THROWN.map(([, type]) => type), "TimeoutError"].map((type, id) => [`${id}`, type]);
  assertEquals(types.toSorted(), expected.toSorted());
  assertEquals(new Set(spans.flatMap(({ events }) => events.map(({ name }) => name))), new Set(["job.dead"]));
  assert(!JSON.stringify(telemetry.all.map(seen)).includes("secret"));
  await worker.stop();
});
