import { checkDuration, checkWhole } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import type { JobSchema } from "../format/job_schema.ts";

/**
 * What all users of a queue share; kept on the server with the queue. Of a queue that is there, what is given is changed for all, and the rest stays.
 *
 * @category Jobs
 */
export interface QueueOptions<Out = unknown, In = Out> {
  /**
   * Any Standard Schema (zod, valibot, arktype, …): checks the data of jobs when they are published and when they are received, both times as JSON
   * holds it. The data is stored as it was given (the schema's input); handlers get what the schema makes of it (its output).
   */
  schema?: JobSchema<Out, In>;
  /**
   * Milliseconds after which the job of a worker that died is given to another one. Extended by itself while a handler runs.
   *
   * @default {30_000}
   */
  lease?: number;
  /**
   * Milliseconds for which a job's id is recognised after its publish, also when the job is long done. The server keeps all ids of the window
   * in memory.
   *
   * @default {0}
   */
  dedupe?: number;
  /**
   * Milliseconds that dead letters are kept.
   *
   * @default {2_592_000_000}
   */
  deadLetterTtl?: number;
  /**
   * Servers of the cluster that keep a copy.
   *
   * @default {SUPERCHECK_NATS_REPLICAS}
   */
  replicas?: number;
  /**
   * Bytes that the jobs may take; dead letters and results may take as many each, in streams of their own. `-1`: no limit. An account that wants the
   * size of each stream reserves them. A publish that would fill the last fifth is refused (`limits`): retries need room, and several producers may
   * publish at the same time. What repeating jobs add while no worker runs counts, too.
   *
   * @default {SUPERCHECK_NATS_MAX_BYTES for what is created; without it, no limit}
   */
  maxBytes?: number;
}

const OPTIONS: OptionNames<QueueOptions> = {
  schema: true,
  lease: true,
  dedupe: true,
  deadLetterTtl: true,
  replicas: true,
  maxBytes: true,
};

/** Milliseconds of a lease by default. */
export const DEFAULT_LEASE_MS = 30_000;

/** Milliseconds that dead letters are kept by default. */
export const DEFAULT_DEAD_LETTER_TTL_MS = 30 * 86_400_000;

/**
 * The options of a queue, checked.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkQueueOptions<Out, In>(given: QueueOptions<Out, In> | null | undefined): QueueOptions<Out, In> {
  const doing = "open the queue";
  const options = checkOptions(given, OPTIONS, doing);
  const { schema, lease, dedupe, deadLetterTtl, replicas, maxBytes } = options;
  if (lease !== undefined) checkDuration(lease, doing, "lease", 100);
  if (dedupe !== undefined) checkDuration(dedupe, doing, "dedupe", 0);
  if (deadLetterTtl !== undefined) checkDuration(deadLetterTtl, doing, "deadLetterTtl", 1_000);
  if (replicas !== undefined) checkWhole(replicas, doing, "replicas", 1, 5);
  if (maxBytes !== undefined && maxBytes !== -1) checkWhole(maxBytes, doing, "maxBytes", 1, Number.MAX_SAFE_INTEGER);
  if (schema !== undefined && typeof schema?.["~standard"]?.validate !== "function") {
    throw new TypeError(`Cannot ${doing} as 'schema' must be a Standard Schema: it has no '~standard' part`);
  }
  return { ...options };
}
