import type { BatchObservableResult, Meter, Observable } from "@opentelemetry/api";
import { reportFailure } from "./_guarded.ts";

/** How full a queue is. */
export interface QueueDepth {
  /** Jobs by state. */
  readonly jobs: Readonly<Record<string, number>>;
  /** Milliseconds that the oldest waiting job has waited; `null`: none waits. */
  readonly oldest: number | null;
}

/** Stores that have a connection. */
export interface GaugeSource {
  /** Requests that wait for a reply. */
  readonly requestsInFlight: number;
  /** By name, the queues that this process publishes to or consumes. */
  readonly queues: ReadonlyMap<string, { depth(): Promise<QueueDepth | null> }>;
  /** Names of those that the server refuses to report: they are not requested again over this connection. */
  readonly refused: Set<string>;
}

/** Queues that are asked at the same time. */
const ASKED_TOGETHER = 8;

/** Milliseconds after which one collection asks no further queue. */
const COLLECTION_MS = 5_000;

/** Stores that have a connection now. */
export const gaugeSources: Set<GaugeSource> = new Set();

/** Makes the gauges. Nothing is asked but when the reader of the process's metrics collects. */
export function observeGauges(meter: Meter): void {
  const inFlight = meter.createObservableUpDownCounter("supercheck.jetstream.requests.in_flight", {
    description: "Requests that wait for a reply",
    unit: "{request}",
  });
  inFlight.addCallback((result) => {
    result.observe(gaugeSources.values().reduce((sum, { requestsInFlight }) => sum + requestsInFlight, 0));
  });
  const depth = meter.createObservableGauge("supercheck.jetstream.queue.depth", {
    description: "Jobs in a queue, by state",
    unit: "{job}",
  });
  const oldest = meter.createObservableGauge("supercheck.jetstream.queue.oldest_job_age", {
    description: "How long the oldest waiting job of a queue has waited",
    unit: "s",
  });
  meter.addBatchObservableCallback((result) => observeQueues(result, depth, oldest), [depth, oldest]);
}

async function observeQueues(result: BatchObservableResult, depth: Observable, oldest: Observable): Promise<void> {
  const until = performance.now() + COLLECTION_MS;
  const waiting = [...gaugeSources].flatMap((source) => {
    return [...source.queues].filter(([name]) => !source.refused.has(name)).map(([name, queue]) => ({
      source,
      name,
      queue,
    }));
  });
  const askOn = async () => {
    for (let next = waiting.shift(); next && performance.now() < until; next = waiting.shift()) {
      const { source, name, queue } = next;
      try {
        const counts = await queue.depth();
        if (counts) observeQueue(result, name, counts, depth, oldest);
      } catch (error) {
        source.refused.add(name);
        reportFailure(error);
      }
    }
  };
  await Promise.all(Array.from({ length: ASKED_TOGETHER }, askOn));
}

function observeQueue(
  result: BatchObservableResult,
  queue: string,
  counts: QueueDepth,
  depth: Observable,
  oldest: Observable,
): void {
  const attributes = { "messaging.system": "nats", "messaging.destination.name": queue };
  for (const [state, jobs] of Object.entries(counts.jobs)) {
    result.observe(depth, jobs, { ...attributes, "job.state": state });
  }
  result.observe(oldest, (counts.oldest ?? 0) / 1_000, attributes);
}
