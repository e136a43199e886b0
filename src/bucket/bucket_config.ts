import { nanoseconds } from "../wire/durations.ts";
import type { StreamConfig } from "../wire/streams.ts";

/** Longest time for which the server remembers message ids, in milliseconds. */
const MAX_DUPLICATE_WINDOW_MS = 120_000;

/** What a stream needs to be a bucket, beside its name and subjects. */
export interface BucketConfig {
  /** Milliseconds that a message lives; 0: for ever. */
  ttl?: number;
  storage?: "file" | "memory";
  replicas: number;
  /** -1: no limit. */
  maxBytes: number;
}

/** The configuration of a new bucket, as the official clients create it. */
export function bucketConfig(
  name: string,
  subjects: string[],
  { ttl = 0, storage = "file", replicas, maxBytes }: BucketConfig,
): StreamConfig {
  return {
    name,
    subjects,
    retention: "limits",
    storage,
    discard: "new",
    num_replicas: replicas,
    max_age: nanoseconds(ttl),
    max_bytes: maxBytes,
    max_msgs: -1,
    max_msg_size: -1,
    max_msgs_per_subject: -1,
    max_consumers: -1,
    duplicate_window: nanoseconds(Math.min(ttl || MAX_DUPLICATE_WINDOW_MS, MAX_DUPLICATE_WINDOW_MS)),
    allow_rollup_hdrs: true,
    allow_direct: true,
  };
}
