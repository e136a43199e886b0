import { type BucketStatus, bucketStatus } from "../bucket/bucket_status.ts";
import type { StreamInfo } from "../wire/streams.ts";

/**
 * The state of a key-value bucket, and how it was made.
 *
 * @category Buckets
 */
export interface KvStatus extends BucketStatus {
  /** Messages in it: values, their older revisions, and the markers of deleted keys. */
  values: number;
  /** Revisions that are kept of each key. */
  history: number;
  /** Whether single values may have a TTL of their own. */
  valueTtl: boolean;
  /** Bytes that a value may have; `-1`: no limit but the server's. */
  maxValueSize: number;
}

/** What the stream under a bucket says of the bucket. */
export function kvStatus(bucket: string, info: StreamInfo): KvStatus {
  const { config, state } = info;
  return {
    ...bucketStatus(bucket, info),
    values: state.messages,
    history: config.max_msgs_per_subject ?? 1,
    valueTtl: config.allow_msg_ttl === true,
    maxValueSize: config.max_msg_size ?? -1,
  };
}
