import { propagation, ROOT_CONTEXT } from "@opentelemetry/api";
import { assertEquals } from "@std/assert";
import { type HeaderList, writeTrace } from "../../src/telemetry/_trace_headers.ts";

/** What a propagator writes: W3C's own, others', and what no header can have. */
const WRITTEN = {
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  tracestate: `vendor=${"x".repeat(600)}`,
  baggage: "user=ann",
  b3: "1",
};

Deno.test("writeTrace takes nothing of a propagator but traceparent and tracestate, and no value that is too long or no line", () => {
  let written: Record<string, string> = WRITTEN;
  propagation.setGlobalPropagator({
    inject: (_context, carrier, setter) => {
      for (const [name, value] of Object.entries(written)) setter.set(carrier, name, value);
    },
    extract: (context) => context,
    fields: () => Object.keys(WRITTEN),
  });
  const headers: HeaderList = [["own", "1"]];
  writeTrace(ROOT_CONTEXT, headers);
  assertEquals(headers, [["own", "1"], ["traceparent", WRITTEN.traceparent]]);
  written = { traceparent: "00\r\nInjected: 1", tracestate: " spaces " };
  writeTrace(ROOT_CONTEXT, headers);
  assertEquals(headers.length, 2);
});
