import { startNatsServer } from "../../src/testing/mod.ts";
import type { Comparison, Contestant } from "./_comparison.ts";
import { runProgram } from "./_private_program.ts";
import type { TelemetryCall } from "./_telemetry_process.ts";

const PART = "telemetry";

const TITLES: Record<TelemetryCall, string> = {
  storeKV: "storeKV, 200 B, 256 in flight",
  publishJob: "publishJob, 200 B, 256 in flight",
  consumeJobs: "consumeJobs, 200 B, 100 at the same time",
};

/** What spans and metrics cost: without a provider, with the one of Deno, and with that of OpenTelemetry's SDK. */
export async function telemetryPart(comparison: Comparison): Promise<void> {
  await using server = await startNatsServer();
  const collector = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    await request.arrayBuffer();
    return Response.json({});
  });
  const program = new URL("./_telemetry_process.ts", import.meta.url).pathname;
  const deno = [
    "OTEL_DENO=true",
    "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${collector.addr.port}`,
  ];
  const contestant = (call: TelemetryCall, peer: string, env: string[], provider: string): Contestant => ({
    peer,
    sample: async () => {
      const args = [
        "run",
        "-A",
        "--no-check",
        program,
        call,
        server.url,
        String(comparison.options.sampleTime),
        provider,
      ];
      return { value: Number(await runProgram("env", [...env, Deno.execPath(), ...args])) };
    },
  });
  for (const call of ["storeKV", "publishJob", "consumeJobs"] as const) {
    await comparison.run({
      part: PART,
      title: `${TITLES[call]}: CPU of the process`,
      unit: "µs",
      more: null,
      contestants: [
        contestant(call, "no provider", [], "none"),
        contestant(call, "OTEL_DENO=true, exported to loopback", deno, "none"),
        contestant(call, "OpenTelemetry's SDK, not exported", [], "sdk"),
      ],
    });
  }
  await collector.shutdown();
}
