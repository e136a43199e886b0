import type { Logger } from "../../connection/logger.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { type ObjectMeta, parseMeta } from "./object_meta.ts";
import { messageOf } from "../../shown.ts";

/**
 * Where a link leads.
 *
 * @category Buckets
 */
export interface ObjectLink {
  /** The bucket. */
  bucket: string;
  /** The object; without it the link is one to the whole bucket. */
  name?: string;
}

/**
 * What a bucket stores about an object.
 *
 * @category Buckets
 */
export interface ObjectInfo {
  /** The object's name. */
  name: string;
  /** The bucket's name. */
  bucket: string;
  /** Tells this version of the object from all others. */
  nuid: string;
  /** Bytes. */
  size: number;
  /** Number of chunks that hold its bytes. */
  chunks: number;
  /** `SHA-256=` and the padded base64url of the hash. */
  digest: string;
  /** When it was stored. */
  mtime: Date;
  /** Whether this is the mark of a deleted object; met in `watch` only. */
  deleted?: boolean;
  /** What it is. */
  description?: string;
  /** Headers for its readers. */
  headers?: Record<string, string[]>;
  /** Labels of its writer. */
  metadata?: Record<string, string>;
  /** Where it leads, if it is a link. */
  link?: ObjectLink;
}

/** What the public sees of an info. */
export function objectInfo(meta: ObjectMeta, mtime: Date): ObjectInfo {
  const { name, bucket, nuid, size, chunks, digest, deleted, description, headers, metadata } = meta;
  const link = meta.options?.link;
  const info: ObjectInfo = { name, bucket, nuid, size, chunks, digest: digest ?? "", mtime };
  if (deleted) info.deleted = deleted;
  if (description) info.description = description;
  if (headers) {
    info.headers = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat()]));
  }
  if (metadata) info.metadata = metadata;
  if (link) info.link = { bucket: link.bucket, ...(link.name && { name: link.name }) };
  return info;
}

/** Reads the infos of a list or a watch. Those that are damaged are left out: the logger gets one line for the first of them. */
export function infoReader(logger: Logger): (message: StoredMessage) => ObjectInfo | null {
  let logged = false;
  return (message) => {
    try {
      return objectInfo(parseMeta(message), message.time);
    } catch (error) {
      if (!logged) {
        logger.warn(
          `${messageOf(error)}. The object is left out; further damaged infos are left out without a log line`,
        );
      }
      logged = true;
      return null;
    }
  };
}
