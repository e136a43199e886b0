import { type Context, propagation, ROOT_CONTEXT, type SpanContext, trace } from "@opentelemetry/api";

/** The headers of a job as they stand in its message. */
export type HeaderList = [name: string, value: string][];

/** What travels in the headers of a job (W3C Trace Context). What else a propagator writes, baggage for one, does not. */
const FIELDS: readonly string[] = ["traceparent", "tracestate"];

/** Longest `tracestate` that goes into a job; its specification allows dropping longer ones. */
const MAX_CHARACTERS = 512;

/** Adds the trace of a context to the headers of a job, by the process's propagator. */
export function writeTrace(context: Context, headers: HeaderList): void {
  propagation.inject(context, headers, {
    set: (headers, name, value) => {
      if (FIELDS.includes(name) && isHeaderValue(value)) headers.push([name, value]);
    },
  });
}

/** The trace that the headers of a job name, whichever client wrote them; `null` if there is none, or it is malformed. */
export function readTrace(headers: HeaderList): SpanContext | null {
  if (!hasTrace(headers)) return null;
  const context = propagation.extract(ROOT_CONTEXT, headers, {
    keys: () => [...FIELDS],
    get: (headers, wanted) => headers.find(([name]) => name.toLowerCase() === wanted)?.[1],
  });
  return trace.getSpanContext(context) ?? null;
}

/** Whether the headers of a job name a trace. Go's clients write `Traceparent`. */
export function hasTrace(headers: HeaderList): boolean {
  return headers.some(([name]) => isTraceparent(name));
}

function isTraceparent(name: string): boolean {
  return name.length === "traceparent".length && name.toLowerCase() === "traceparent";
}

function isHeaderValue(value: string): boolean {
  return value !== "" && value.length <= MAX_CHARACTERS && /^[\x20-\x7e]+$/.test(value) && value === value.trim();
}
