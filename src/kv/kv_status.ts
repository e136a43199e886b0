import { milliseconds } from "../wire/durations.ts";
import type { StreamInfo } from "../wire/streams.ts";

/** The state of a bucket, and how it was made. */
export interface KvStatus {
  /** The bucket's name. */
  bucket: string;
  /** Messages in it: values, their older revisions, and the markers of deleted keys. */
  values: number;
  /** Bytes that these take. */
  bytes: number;
  /** Milliseconds that each value lives; `0`: until it is deleted. */
  ttl: number;
  /** Revisions that are kept of each key. */
  history: number;
  /** Where the server keeps them. */
  storage: "file" | "memory";
  /** Servers that keep a copy. */
  replicas: number;
  /** Whether single values may have a TTL of their own. */
  valueTtl: boolean;
  /** Whether the server compresses what it stores in files. */
  compression: boolean;
  /** Bytes that it may have; `-1`: no limit. */
  maxBytes: number;
  /** Bytes that a value may have; `-1`: no limit but the server's. */
  maxValueSize: number;
  /** What it is for. */
  description: string;
  /** Its labels, those of the server left out. */
  metadata: Record<string, string>;
  /** When it was made. */
  created: Date;
}

/** What the stream under a bucket says of the bucket. */
export function kvStatus(bucket: string, { config, state, created }: StreamInfo): KvStatus {
  return {
    bucket,
    values: state.messages,
    bytes: state.bytes,
    ttl: milliseconds(config.max_age),
    history: config.max_msgs_per_subject ?? 1,
    storage: config.storage ?? "file",
    replicas: config.num_replicas ?? 1,
    valueTtl: config.allow_msg_ttl === true,
    compression: (config.compression ?? "none") !== "none",
    maxBytes: config.max_bytes ?? -1,
    maxValueSize: config.max_msg_size ?? -1,
    description: config.description ?? "",
    metadata: Object.fromEntries(Object.entries(config.metadata ?? {}).filter(([name]) => !name.startsWith("_nats."))),
    created: new Date(created),
  };
}
