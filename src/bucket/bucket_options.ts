import { checkBoolean, checkDuration, checkLabels, checkString, checkWhole, wrong } from "../checks.ts";
import type { OptionNames } from "../options.ts";

const DOING = "open the bucket";

/**
 * Which server may answer a read, see {@linkcode BucketOptions.consistency}.
 *
 * @category Buckets
 */
export type Consistency = "own" | "leader";

/**
 * How a bucket of any kind is made; of one that exists already, what is given here and differs is changed at the first write, and the rest is kept.
 *
 * @category Buckets
 */
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
   * @default {SUPERCHECK_NATS_MAX_BYTES for a bucket that is created; without it, -1}
   */
  maxBytes?: number;
  /**
   * What reads of a bucket with replicas give. `"own"`: what this process has written or read before, or newer; any replica may answer, and where it
   * lags behind that the leader is asked (a user without the right to `STREAM.MSG.GET` gets the replica's answer). `"leader"`: also what other processes have confirmed; every single read is answered by the leader, which
   * costs it more. Lists and watches are not affected. With one replica both are the same.
   *
   * @default {"own"}
   */
  consistency?: Consistency;
}

/** All names of {@linkcode BucketOptions}. */
export const BUCKET_OPTIONS: OptionNames<BucketOptions> = {
  ttl: true,
  storage: true,
  replicas: true,
  description: true,
  metadata: true,
  compression: true,
  maxBytes: true,
  consistency: true,
};

/**
 * The options of a bucket, after a check of those that all buckets have in common: as they are now, whatever becomes of the caller's objects.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkBucketOptions<O extends BucketOptions>(options: O): O {
  const { ttl, storage, replicas, description, metadata, compression, maxBytes, consistency } = options;
  // The server takes no shorter one.
  if (ttl !== undefined && ttl !== 0) checkDuration(ttl, DOING, "ttl", 100);
  if (replicas !== undefined) checkWhole(replicas, DOING, "replicas", 1, 5);
  if (maxBytes !== undefined && maxBytes !== -1) checkWhole(maxBytes, DOING, "maxBytes", 1, Number.MAX_SAFE_INTEGER);
  if (storage !== undefined && storage !== "file" && storage !== "memory") {
    throw wrong(RangeError, `${DOING} as 'storage' must be "file" or "memory"`, storage);
  }
  if (consistency !== undefined && consistency !== "own" && consistency !== "leader") {
    throw wrong(RangeError, `${DOING} as 'consistency' must be "own" or "leader"`, consistency);
  }
  if (compression !== undefined) checkBoolean(compression, DOING, "compression");
  if (description !== undefined) checkString(description, DOING, "description");
  checkLabels(metadata, DOING);
  return { ...options, ...(metadata && { metadata: { ...metadata } }) };
}
