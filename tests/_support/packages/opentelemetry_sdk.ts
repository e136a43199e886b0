export { AsyncLocalStorageContextManager } from "npm:@opentelemetry/context-async-hooks@2.12.1";
export { W3CTraceContextPropagator } from "npm:@opentelemetry/core@2.12.1";
export { type DataPoint, type Histogram, MeterProvider, MetricReader } from "npm:@opentelemetry/sdk-metrics@2.12.1";
export { BasicTracerProvider, type ReadableSpan, type SpanProcessor } from "npm:@opentelemetry/sdk-trace-base@2.12.1";
