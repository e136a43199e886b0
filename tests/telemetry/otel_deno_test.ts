import { assert, assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { testFrom } from "../_support/test_from.ts";
import { waitUntil } from "../_support/wait_until.ts";
import { attribute, Collector } from "./_collector.ts";

const test = testFrom("2.14");

/** Runs a script whose telemetry goes to a collector, until disposal ends it. */
async function startTraced(script: string, service: string, url: string, collector: Collector) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", "--quiet", new URL(script, import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
    env: { SUPERCHECK_NATS_URL: url, ...collector.environment(service) },
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  const first = (await lines.next()).value?.trim() ?? "";
  return {
    first,
    [Symbol.asyncDispose]: async () => {
      await child.stdin.close();
      while (!(await lines.next()).done) continue;
      assertEquals((await child.status).code, 0);
    },
  };
}

test("with OTEL_DENO one trace joins a request, its publish, the run, its retry and the write in it, over two processes", async () => {
  await using server = await startNatsServer();
  await using collector = new Collector();
  await using _worker = await startTraced("_traced_worker.ts", "worker", server.url, collector);
  await using service = await startTraced("_traced_service.ts", "api", server.url, collector);
  const response = await fetch(`http://127.0.0.1:${service.first}/`);
  assertEquals((await response.json()).id, "mail-1");

  const [first, second, ...more] = await collector.spansOf("process mails", 2);
  const [send] = await collector.spansOf("send mails", 1);
  const [put] = await collector.spansOf("put supercheck_kv", 1);
  await waitUntil(() => collector.spans.some(({ spanId }) => spanId === send.parentSpanId));
  const request = collector.spans.find(({ spanId }) => spanId === send.parentSpanId)!;
  assertEquals(more, []);
  const all = [request, send, first, second, put];
  assertEquals(all.map(({ service, kind, traceId, parentSpanId }) => ({ service, kind, traceId, parentSpanId })), [
    { service: "api", kind: 2, traceId: request.traceId, parentSpanId: request.parentSpanId },
    { service: "api", kind: 4, traceId: request.traceId, parentSpanId: request.spanId },
    { service: "worker", kind: 5, traceId: request.traceId, parentSpanId: send.spanId },
    { service: "worker", kind: 5, traceId: request.traceId, parentSpanId: send.spanId },
    { service: "worker", kind: 3, traceId: request.traceId, parentSpanId: second.spanId },
  ]);
  assert(!request.parentSpanId, request.parentSpanId);
  assertEquals([first, second].map((span) => attribute(span, "error.type")), ["TypeError", undefined]);
  assertEquals([first, second].map(({ events }) => events?.map(({ name }) => name)), [["job.retried"], [
    "job.completed",
  ]]);
  assertEquals([first, second].map((span) => String(attribute(span, "job.attempt"))), ["1", "2"]);

  const names = [
    "messaging.client.operation.duration",
    "messaging.client.sent.messages",
    "messaging.client.consumed.messages",
    "messaging.process.duration",
    "db.client.operation.duration",
    "supercheck.jetstream.jobs",
    "supercheck.jetstream.requests.in_flight",
    "supercheck.jetstream.queue.depth",
    "supercheck.jetstream.queue.oldest_job_age",
  ];
  await waitUntil(() => names.every((name) => collector.metrics.some((metric) => metric.name === name)));
  const told = JSON.stringify([collector.spans, collector.metrics]);
  assert(!told.includes("last mail") && !told.includes("ann"), told);
});
