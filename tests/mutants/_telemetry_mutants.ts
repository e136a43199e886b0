import type { Mutant } from "./mutant.ts";

/** Changes of spans and metrics. */
export const TELEMETRY_MUTANTS: Mutant[] = [
  {
    does: "overwrites the trace that a publisher names",
    file: "src/telemetry/telemetry.ts",
    find: "if (!hasTrace(headers)) guarded(",
    replace: "guarded(",
    tests: ["tests/telemetry/send_test.ts"],
  },
  {
    does: "stores baggage with jobs, and does not look at what a propagator writes",
    file: "src/telemetry/_trace_headers.ts",
    find: "if (FIELDS.includes(name) && isHeaderValue(value)) headers",
    replace: "headers",
    tests: ["tests/telemetry/trace_headers_test.ts"],
  },
  {
    does: "misses the trace of a job that Go published",
    file: "src/telemetry/_trace_headers.ts",
    find: 'name.toLowerCase() === "traceparent";',
    replace: 'name === "traceparent";',
    tests: ["tests/telemetry/process_test.ts"],
  },
  {
    does: "makes a run part of whatever was active as its worker began",
    file: "src/telemetry/telemetry.ts",
    find: "parent: isBatch || publishers.length === 0 ? ROOT_CONTEXT :",
    replace: "parent: isBatch || publishers.length === 0 ? undefined :",
    tests: ["tests/telemetry/process_test.ts"],
  },
  {
    does: "runs handlers outside of their spans",
    file: "src/queue/work/_job_runner.ts",
    find: "run ? run.within(() => this.#handler.run(job)) : this.#handler.run(job);",
    replace: "this.#handler.run(job);",
    tests: ["tests/telemetry/process_test.ts"],
  },
  {
    does: "counts a postponed job as a failure",
    file: "src/queue/work/_job_runner.ts",
    find: 'if (outcome?.end !== "postponed") run?.failed(error);',
    replace: "run?.failed(error);",
    tests: ["tests/telemetry/process_test.ts"],
  },
  {
    does: "looks for a provider only once",
    file: "src/telemetry/_providers.ts",
    find: "return found === NO_METER ? null : meter = found;",
    replace: "return meter = found;",
    tests: ["tests/telemetry/late_provider_test.ts"],
  },
  {
    does: "counts jobs as confirmed that are not",
    file: "src/telemetry/telemetry.ts",
    find: "receipts.filter((receipt) => receipt !== null).length",
    replace: "receipts.length",
    tests: ["tests/telemetry/metrics_test.ts"],
  },
  {
    does: "keeps requesting the counts of a queue without permission",
    file: "src/telemetry/gauges.ts",
    find: "source.refused.add(name);",
    replace: "",
    tests: ["tests/telemetry/metrics_test.ts"],
  },
  {
    does: "lets a provider that throws fail a call",
    file: "src/telemetry/_guarded.ts",
    find: "reportFailure(error);\n    return fallback;",
    replace: "throw error;",
    tests: ["tests/telemetry/broken_provider_test.ts"],
  },
  {
    does: "does not count that a call of a bucket was null because NATS was unavailable",
    file: "src/connection/attempts.ts",
    find: "options.degraded?.();",
    replace: "",
    tests: ["tests/telemetry/call_test.ts"],
  },
];
