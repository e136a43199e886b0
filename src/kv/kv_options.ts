import { checkDuration } from "../wire/durations.ts";

/** How a bucket is made; of one that exists already, what is given here and differs is changed at the first write, and the rest is kept. */
export interface KvBucketOptions {
  /**
   * Milliseconds that each value lives, at least 100; `0`: until it is deleted.
   *
   * @default {0}
   */
  ttl?: number;
  /**
   * Revisions that are kept of each key, 1 to 64.
   *
   * @default {1}
   */
  history?: number;
  /**
   * Where the server keeps the values; of a bucket that exists it cannot be changed.
   *
   * @default {"file"}
   */
  storage?: "file" | "memory";
  /**
   * Servers of the cluster that keep a copy, 1 to 5.
   *
   * @default {SUPERCHECK_NATS_REPLICAS}
   */
  replicas?: number;
  /** What the bucket is for. */
  description?: string;
  /** Labels of your own; those that are there and not given here stay. */
  metadata?: Record<string, string>;
  /**
   * Bytes that the bucket may have; a write beyond them is refused. `-1`: no limit.
   *
   * @default {-1}
   */
  maxBytes?: number;
  /**
   * Bytes that a value may have. `-1`: no limit but the server's.
   *
   * @default {-1}
   */
  maxValueSize?: number;
  /**
   * Whether the server compresses what it stores in files.
   *
   * @default {false}
   */
  compression?: boolean;
  /**
   * Whether this handle keeps a mirror of the whole bucket in memory, from its first read until the stores are closed: reads are answered from it
   * while a watch keeps it current, and by the server while it does not. What this handle wrote it reads; what others wrote it sees as soon as
   * the server tells, or a connection that went silent counts as lost (3 s).
   *
   * @default {false}
   */
  cache?: boolean;
}

const DOING = "open the bucket";

/**
 * Checks the options of a bucket.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkKvOptions(options: KvBucketOptions): void {
  const { ttl, history, storage, replicas, maxBytes, maxValueSize, description, metadata } = options;
  // The server takes no shorter one.
  if (ttl !== undefined && ttl !== 0) checkDuration(ttl, DOING, "ttl", 100);
  if (history !== undefined) checkWhole(history, "history", 1, 64);
  if (replicas !== undefined) checkWhole(replicas, "replicas", 1, 5);
  if (maxBytes !== undefined && maxBytes !== -1) checkWhole(maxBytes, "maxBytes", 1, Number.MAX_SAFE_INTEGER);
  if (maxValueSize !== undefined && maxValueSize !== -1) checkWhole(maxValueSize, "maxValueSize", 1, 2 ** 31 - 1);
  if (storage !== undefined && storage !== "file" && storage !== "memory") {
    throw new RangeError(
      `Cannot ${DOING} as 'storage' must be "file" or "memory": current value is ${JSON.stringify(storage)}`,
    );
  }
  if (description !== undefined && typeof description !== "string") {
    throw new TypeError(
      `Cannot ${DOING} as 'description' must be a string: current value is of type ${typeof description}`,
    );
  }
  const label = Object.entries(metadata ?? {}).find(([, value]) => typeof value !== "string");
  if (label) {
    throw new TypeError(
      `Cannot ${DOING} as 'metadata.${label[0]}' must be a string: current value is of type ${typeof label[1]}`,
    );
  }
}

function checkWhole(value: unknown, option: string, min: number, max: number): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot ${DOING} as '${option}' must be a whole number from ${min} to ${max}: current value is ${String(value)}`,
  );
}
