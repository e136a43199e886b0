import { assertEquals } from "@std/assert";
import { startNatsServer } from "../../src/testing/mod.ts";
import { packageFolder, runProgram } from "../_support/package_folder.ts";
import { attribute, Collector } from "./_collector.ts";

const runs = Deno.env.get("INTEROP_RUNTIMES") === "1";
const unless = runs ? "" : " (not tested here: with INTEROP_RUNTIMES=1 only, as it installs them)";

/** The SDK is made for an API that is newer than the one of this library. */
const PACKAGES = { "@opentelemetry/sdk-node": "0.301.0", "@opentelemetry/api": "1.10.0" };

Deno.test({
  name:
    `one trace joins a publish, the run, its retry and the write in it, with OpenTelemetry's SDK in Node.js${unless}`,
  ignore: !runs,
  fn: async () => {
    await using server = await startNatsServer();
    await using collector = new Collector();
    await using folder = await packageFolder(["tests/telemetry/_node_program.ts"], PACKAGES);
    const environment = {
      SUPERCHECK_NATS_URL: server.url,
      OTEL_METRICS_EXPORTER: "otlp",
      ...collector.environment("node"),
    };
    const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    await runProgram(folder.path, "npm", "install", "--no-save", "--no-audit", "--no-fund", "node@24");
    await runProgram(folder.path, "env", ...settings, "node_modules/.bin/node", "tests/telemetry/_node_program.ts");

    const [request] = await collector.spansOf("request", 1);
    const [send] = await collector.spansOf("send mails", 1);
    const [first, second] = await collector.spansOf("process mails", 2);
    const [put] = await collector.spansOf("put supercheck_kv", 1);
    const all = [send, first, second, put];
    assertEquals(all.map(({ traceId, parentSpanId }) => [traceId, parentSpanId]), [
      [request.traceId, request.spanId],
      [request.traceId, send.spanId],
      [request.traceId, send.spanId],
      [request.traceId, second.spanId],
    ]);
    assertEquals([first, second].map((span) => attribute(span, "error.type")), ["TypeError", undefined]);
    const jobs = collector.metrics.filter(({ name }) => name === "supercheck.jetstream.jobs").at(-1);
    assertEquals(jobs?.sum?.dataPoints.map((point) => [attribute(point, "job.outcome"), point.asDouble]), [
      ["retried", 1],
      ["completed", 1],
    ]);
  },
});
