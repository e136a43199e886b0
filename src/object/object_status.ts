import { milliseconds } from "../wire/durations.ts";
import type { StreamInfo } from "../wire/streams.ts";

/** The state of a bucket, and how it was made. */
export interface ObjectStatus {
  /** The bucket's name. */
  bucket: string;
  /** Bytes that it takes, records of objects included. */
  bytes: number;
  /** Milliseconds that each object lives; `0`: until it is deleted. */
  ttl: number;
  /** Where the server keeps the objects. */
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
export function objectStatus(bucket: string, { config, state, created }: StreamInfo): ObjectStatus {
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
    metadata: Object.fromEntries(
      Object.entries(config.metadata ?? {}).filter(([label]) => !label.startsWith("_nats.")),
    ),
    created: new Date(created),
  };
}
