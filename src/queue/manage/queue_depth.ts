import type { QueueDepth } from "../../telemetry/gauges.ts";
import type { JobCounts } from "./job_counts.ts";

/** How full a queue is, for the gauges of telemetry. */
export function queueDepth(
  { ready: { high, normal, low, keyed }, active, delayed, dead, oldest }: JobCounts,
): QueueDepth {
  return { jobs: { waiting: high + normal + low + keyed, active, delayed, dead }, oldest };
}
