import type { Context } from "../../wire/context.ts";
import type { ChangingJobs } from "./changing_jobs.ts";
import type { EndedJobs } from "./ended_jobs.ts";
import type { JobResults } from "./job_results.ts";
import type { ObservedQueue } from "../../telemetry/telemetry.ts";
import type { JobSchema } from "../format/job_schema.ts";
import type { QueueNames } from "../format/queue_names.ts";
import type { QueueStream } from "./queue_stream.ts";

/** What calls on a queue need of it. */
export type QueueStore = Pick<QueueContext, "names" | "stream">;

/** What all that works on one queue shares, whatever it does. */
export interface QueueContext<Out = unknown> {
  readonly context: Context;
  readonly names: QueueNames;
  readonly stream: QueueStream;
  readonly results: JobResults;
  readonly ended: EndedJobs;
  readonly changing: ChangingJobs;
  readonly schema: JobSchema<Out> | undefined;
  /** The queue as telemetry sees it. */
  readonly observed: ObservedQueue;
}
