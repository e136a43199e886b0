import { assertEquals } from "@std/assert";
import { traceIdOf } from "../../src/dashboard/trace_id.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

Deno.test("traceIdOf finds the trace that the headers of a job name, and none in malformed ones", () => {
  for (const traceparent of [`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-00`, `01-${TRACE}-${SPAN}-01-more`]) {
    assertEquals(traceIdOf({ other: "1", traceparent }), TRACE);
    assertEquals(traceIdOf({ Traceparent: traceparent }), TRACE);
  }
  const malformed = ["", "junk", `00-${TRACE}`, `ff-${TRACE}-${SPAN}-01`, `00-${"0".repeat(32)}-${SPAN}-01`];
  for (const traceparent of malformed) assertEquals(traceIdOf({ traceparent }), undefined, traceparent);
  assertEquals(traceIdOf({}), undefined);
});
