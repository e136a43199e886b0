import type { Counter, Histogram, Meter } from "@opentelemetry/api";
import { guarded } from "./_guarded.ts";
import { observeGauges } from "./gauges.ts";
import { findMeter } from "./_providers.ts";

/** Bucket boundaries in seconds, as OpenTelemetry's conventions have them. */
const BOUNDARIES_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** What is counted and timed as it happens. */
export interface Instruments {
  readonly sendDuration: Histogram;
  readonly sentMessages: Counter;
  readonly consumedMessages: Counter;
  readonly processDuration: Histogram;
  readonly bucketDuration: Histogram;
  readonly endedJobs: Counter;
  readonly degradedCalls: Counter;
  readonly reconnects: Counter;
}

let instruments: Instruments | null = null;

/** The instruments; `null` while the process has no provider of metrics. */
export function findInstruments(): Instruments | null {
  if (instruments !== null) return instruments;
  const meter = findMeter();
  return meter && guarded(() => instruments = makeInstruments(meter), null);
}

function makeInstruments(meter: Meter): Instruments {
  const duration = (name: string, description: string) =>
    meter.createHistogram(name, { description, unit: "s", advice: { explicitBucketBoundaries: BOUNDARIES_S } });
  const counter = (name: string, unit: string, description: string) =>
    meter.createCounter(name, { description, unit: `{${unit}}` });
  observeGauges(meter);
  return {
    sendDuration: duration("messaging.client.operation.duration", "Duration of a publish"),
    sentMessages: counter("messaging.client.sent.messages", "message", "Jobs that were to be published"),
    consumedMessages: counter("messaging.client.consumed.messages", "message", "Jobs that were handed to a handler"),
    processDuration: duration("messaging.process.duration", "Duration of a run of a job, its report included"),
    bucketDuration: duration("db.client.operation.duration", "Duration of a call of a bucket"),
    endedJobs: counter("supercheck.jetstream.jobs", "job", "Deliveries of jobs by how they ended"),
    degradedCalls: counter("supercheck.jetstream.calls.degraded", "call", "Calls that returned null without NATS"),
    reconnects: counter("supercheck.jetstream.reconnects", "reconnect", "Connections after the first one"),
  };
}

/** Counts a call that is `null` because NATS was unavailable. */
export function countDegradedCall(): void {
  const counter = findInstruments()?.degradedCalls;
  if (counter) guarded(() => counter.add(1), undefined);
}
