import { checkDuration } from "./durations.ts";

const DOING = "open the bucket";

/** How a bucket of any kind is made; of one that exists already, what is given here and differs is changed at the first write, and the rest is kept. */
export interface BucketOptions {
  /**
   * Milliseconds that what is stored lives, at least 100; `0`: until it is deleted.
   *
   * @default {0}
   */
  ttl?: number;
  /**
   * Where the server keeps it; of a bucket that exists it cannot be changed.
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
   * Whether the server compresses what it stores in files.
   *
   * @default {false}
   */
  compression?: boolean;
  /**
   * Bytes that the bucket may have; a write beyond them is refused. `-1`: no limit.
   *
   * @default {-1}
   */
  maxBytes?: number;
}

/**
 * Checks the options that all buckets have in common.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkBucketOptions(options: BucketOptions): void {
  const { ttl, storage, replicas, description, metadata, compression, maxBytes } = options;
  // The server takes no shorter one.
  if (ttl !== undefined && ttl !== 0) checkDuration(ttl, DOING, "ttl", 100);
  if (replicas !== undefined) checkWhole(replicas, DOING, "replicas", 1, 5);
  if (maxBytes !== undefined && maxBytes !== -1) checkWhole(maxBytes, DOING, "maxBytes", 1, Number.MAX_SAFE_INTEGER);
  if (storage !== undefined && storage !== "file" && storage !== "memory") {
    throw new RangeError(
      `Cannot ${DOING} as 'storage' must be "file" or "memory": current value is ${JSON.stringify(storage)}`,
    );
  }
  if (compression !== undefined && typeof compression !== "boolean") {
    throw new TypeError(
      `Cannot ${DOING} as 'compression' must be true or false: current value is of type ${typeof compression}`,
    );
  }
  if (description !== undefined) checkString(description, DOING, "description");
  checkLabels(metadata, DOING);
}

/**
 * Checks an option that counts.
 *
 * @throws {RangeError} If it is no whole number, or out of its range.
 */
export function checkWhole(value: unknown, doing: string, option: string, min: number, max: number): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot ${doing} as '${option}' must be a whole number from ${min} to ${max}: current value is ${String(value)}`,
  );
}

/**
 * Checks an option that is text.
 *
 * @throws {TypeError} If it is no well-formed string.
 */
export function checkString(value: unknown, doing: string, option: string): void {
  if (typeof value === "string" && value.isWellFormed()) return;
  throw new TypeError(
    `Cannot ${doing} as '${option}' must be well-formed text: current value is ${
      typeof value === "string" ? JSON.stringify(value) : `of type ${typeof value}`
    }`,
  );
}

/**
 * Checks labels.
 *
 * @throws {TypeError} If one is no well-formed string.
 */
export function checkLabels(metadata: Record<string, string> | undefined, doing: string): void {
  for (const [label, value] of Object.entries(metadata ?? {})) checkString(value, doing, `metadata.${label}`);
}
