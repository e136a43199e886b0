import { createNoopMeter, type Meter, metrics, ProxyTracerProvider, trace, type Tracer } from "@opentelemetry/api";
import { reportFailure } from "./_guarded.ts";

/** The instrumentation scope of all spans and metrics. */
const SCOPE = "@supercheck/jetstream";

const NO_METER = createNoopMeter();

let tracer: Tracer | null = null;
let meter: Meter | null = null;

/**
 * Whether the process has a provider of spans or of metrics. One may be registered at any time, and through another copy of the API, so that it is
 * looked for at each call until one is found: some 40 ns.
 */
export function isObserved(): boolean {
  return findTracer() !== null || findMeter() !== null;
}

/** The tracer of the process's provider; `null` while there is none. */
export function findTracer(): Tracer | null {
  if (tracer !== null) return tracer;
  try {
    const provider = trace.getTracerProvider();
    if (provider instanceof ProxyTracerProvider && provider.getDelegateTracer(SCOPE) === undefined) return null;
    return tracer = provider.getTracer(SCOPE);
  } catch (error) {
    reportFailure(error);
    return null;
  }
}

/** The meter of the process's provider; `null` while there is none. */
export function findMeter(): Meter | null {
  if (meter !== null) return meter;
  try {
    const found = metrics.getMeter(SCOPE);
    return found === NO_METER ? null : meter = found;
  } catch (error) {
    reportFailure(error);
    return null;
  }
}
