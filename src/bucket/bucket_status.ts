import { milliseconds } from "../wire/durations.ts";
import type { StreamInfo } from "../wire/streams.ts";

/**
 * The state of a bucket of any kind, and how it was made.
 *
 * @category Buckets
 */
export interface BucketStatus {
  /** The bucket's name. */
  bucket: string;
  /** Bytes that it takes, with all that belongs to what is stored. */
  bytes: number;
  /** Milliseconds that what is stored lives; `0`: until it is deleted. */
  ttl: number;
  /** Where the server keeps it. */
  storage: "file" | "memory";
  /** Servers that keep a copy. */
  replicas: number;
  /** Whether the server compresses what it stores in files. */
  compression: boolean;
  /** Bytes that it may have; `-1`: no limit. */
  maxBytes: number;
  /** Whether it takes no changes any more. */
  sealed: boolean;
  /** What it is for. */
  description: string;
  /** Its labels, those of the server left out. */
  metadata: Record<string, string>;
  /** When it was made. */
  created: Date;
}

/** What the stream under a bucket says of the bucket. */
export function bucketStatus(bucket: string, { config, state, created }: StreamInfo): BucketStatus {
  return {
    bucket,
    bytes: state.bytes,
    ttl: milliseconds(config.max_age),
    storage: config.storage ?? "file",
    replicas: config.num_replicas ?? 1,
    compression: (config.compression ?? "none") !== "none",
    maxBytes: config.max_bytes ?? -1,
    sealed: config.sealed === true,
    description: config.description ?? "",
    metadata: Object.fromEntries(Object.entries(config.metadata ?? {}).filter(([name]) => !name.startsWith("_nats."))),
    created: new Date(created),
  };
}
