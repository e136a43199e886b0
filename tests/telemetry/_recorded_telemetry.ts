import { context, metrics, propagation, SpanKind, trace } from "@opentelemetry/api";
import {
  AsyncLocalStorageContextManager,
  BasicTracerProvider,
  type DataPoint,
  type Histogram,
  MeterProvider,
  MetricReader,
  type ReadableSpan,
  type SpanProcessor,
  W3CTraceContextPropagator,
} from "@opentelemetry/sdk";
import { waitUntil } from "../_support/wait_until.ts";

/** Keeps the spans that have ended; without timers, which an exporter has. */
export class RecordedSpans implements SpanProcessor {
  readonly ended: ReadableSpan[] = [];

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    this.ended.push(span);
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** Collects metrics when a test asks. */
export class ManualReader extends MetricReader {
  protected override onForceFlush = (): Promise<void> => Promise.resolve();
  protected override onShutdown = (): Promise<void> => Promise.resolve();
}

/** A value of a metric: of a histogram how many were recorded, and their sum. */
export interface Measured {
  attributes: Record<string, unknown>;
  value: number;
  sum?: number;
}

/** The OpenTelemetry SDK of JavaScript, as a service sets it up, that keeps what it gets. There is one in a process. */
export class RecordedTelemetry {
  readonly #spans = new RecordedSpans();
  readonly #reader = new ManualReader();

  constructor() {
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [this.#spans] }));
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [this.#reader] }));
  }

  /** The spans of a name that have ended, once there are so many. */
  async spans(name: string, count: number): Promise<ReadableSpan[]> {
    const found = () => this.all.filter((span) => span.name === name);
    await waitUntil(() => found().length >= count);
    return found();
  }

  /** All spans that have ended, in this order. */
  get all(): ReadableSpan[] {
    return [...this.#spans.ended];
  }

  forget(): void {
    this.#spans.ended.length = 0;
  }

  /** Collects, and returns the values of a metric. */
  async metric(name: string): Promise<{ unit: string; points: Measured[] }> {
    const { resourceMetrics, errors } = await this.#reader.collect();
    if (errors.length > 0) throw errors[0];
    const found = resourceMetrics.scopeMetrics
      .filter(({ scope }) => scope.name === "@supercheck/jetstream")
      .flatMap(({ metrics }) => metrics).find(({ descriptor }) => descriptor.name === name);
    const points = (found?.dataPoints ?? []) as DataPoint<number | Histogram>[];
    return { unit: found?.descriptor.unit ?? "", points: points.map(measured) };
  }
}

function measured({ attributes, value }: DataPoint<number | Histogram>): Measured {
  return typeof value === "number"
    ? { attributes, value }
    : { attributes, value: value.count, ...(value.sum !== undefined && { sum: value.sum }) };
}

/** What tests compare of a span. */
export function seen(span: ReadableSpan): object {
  const { kind, name, attributes, status, events, links } = span;
  return {
    kind: SpanKind[kind],
    name,
    attributes,
    failed: status.code === 2,
    message: status.message,
    events: events.map(({ name }) => name),
    links: links.map(({ context }) => context.spanId),
  };
}

/** Runs a callback within a span of the user's. */
export async function withinSpan<T>(name: string, callback: () => Promise<T>): Promise<T> {
  return await trace.getTracer("tests").startActiveSpan(name, async (span) => {
    try {
      return await callback();
    } finally {
      span.end();
    }
  });
}
