import { waitUntil } from "../_support/wait_until.ts";

/** A span as OTLP's JSON has it. */
export interface ExportedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: { key: string; value: Record<string, unknown> }[];
  events?: { name: string }[];
  /** The name of the service that sent it. */
  service: unknown;
}

/** A metric as OTLP's JSON has it. */
export interface ExportedMetric {
  name: string;
  unit?: string;
  sum?: { dataPoints: ExportedPoint[] };
  gauge?: { dataPoints: ExportedPoint[] };
  histogram?: { dataPoints: ExportedPoint[] };
}

interface ExportedPoint {
  attributes?: ExportedSpan["attributes"];
  asDouble?: number;
  asInt?: string;
  count?: string;
  sum?: number;
}

interface Exported {
  resourceSpans?: { resource: Resource; scopeSpans: { spans: ExportedSpan[] }[] }[];
  resourceMetrics?: { scopeMetrics: { metrics: ExportedMetric[] }[] }[];
}

interface Resource {
  attributes: ExportedSpan["attributes"];
}

/** An OpenTelemetry collector on loopback that takes JSON over HTTP, and keeps it. */
export class Collector implements AsyncDisposable {
  readonly spans: ExportedSpan[] = [];
  readonly metrics: ExportedMetric[] = [];
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      this.#take(await request.json());
      return Response.json({});
    },
  );

  /** What makes a process of Deno report here. */
  environment(service: string): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_METRIC_EXPORT_INTERVAL: "200",
    };
  }

  /** The spans of a name, once there are so many. */
  async spansOf(name: string, count: number): Promise<ExportedSpan[]> {
    const found = () => this.spans.filter((span) => span.name === name);
    await waitUntil(() => found().length >= count);
    return found();
  }

  #take({ resourceSpans = [], resourceMetrics = [] }: Exported): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = attribute(resource, "service.name");
      for (const { spans } of scopeSpans) this.spans.push(...spans.map((span) => ({ ...span, service })));
    }
    this.metrics.push(...resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** The value of an attribute, of whichever type. */
export function attribute({ attributes = [] }: { attributes?: ExportedSpan["attributes"] }, key: string): unknown {
  const found = attributes.find((attribute) => attribute.key === key);
  return found && Object.values(found.value)[0];
}
