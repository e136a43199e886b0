import type { Logger } from "../connection/logger.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { StoredMessage } from "../wire/stored_message.ts";

/** Where a link leads. */
export interface ObjectLink {
  /** The bucket. */
  bucket: string;
  /** The object; without it the link is one to the whole bucket. */
  name?: string;
}

/** What a bucket knows of an object. */
export interface ObjectInfo {
  /** The object's name. */
  name: string;
  /** The bucket's name. */
  bucket: string;
  /** Tells this version of the object from all others. */
  nuid: string;
  /** Bytes. */
  size: number;
  /** Pieces that it is stored in. */
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
  /** Where it leads, if it is a link that another client made. */
  link?: ObjectLink;
}

/** An object's record as ADR-20 has it in JSON. */
export interface ObjectMeta {
  name: string;
  description?: string;
  headers?: Record<string, string[]> | null;
  metadata?: Record<string, string> | null;
  options?: { link?: ObjectLink | null; max_chunk_size?: number } | null;
  bucket: string;
  nuid: string;
  size: number;
  mtime: string;
  chunks: number;
  digest?: string;
  deleted?: boolean;
}

/** An object's record, and the message that keeps it. */
export interface StoredMeta extends ObjectMeta {
  message: StoredMessage;
}

const decoder = new TextDecoder();

/** What a version may be called: its name is a token of subjects. All clients take letters and digits. */
const NUID = /^[^\s.*>]{1,200}$/;

/** Bytes that no server takes in one message. */
const TOO_LARGE = 2 ** 30;

/**
 * Reads an object's record. Anybody may have stored it, and what it says of the pieces goes into subjects and sizes.
 *
 * @throws {JetStreamStoreError} `damaged`, if it is none.
 */
export function parseMeta(message: StoredMessage): StoredMeta {
  let meta: ObjectMeta;
  try {
    meta = JSON.parse(decoder.decode(message.data));
  } catch (cause) {
    throw badRecord(message, "is no JSON", cause);
  }
  if (typeof meta?.name !== "string") throw badRecord(message, "has no name");
  const nuid = meta.nuid ?? "";
  const size = meta.size ?? 0;
  const chunks = meta.chunks ?? 0;
  // A link has no pieces, so it needs no version.
  const named = typeof nuid === "string" && (NUID.test(nuid) || (nuid === "" && chunks === 0));
  if (!named || !isCount(size) || !isCount(chunks) || size > chunks * TOO_LARGE) {
    throw badRecord(message, "tells of no pieces that can be read");
  }
  return Object.assign(meta, { message });
}

function badRecord({ subject }: StoredMessage, what: string, cause?: unknown): JetStreamStoreError {
  return new JetStreamStoreError("damaged", `The record of the object on "${subject}" ${what}`, { cause });
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && value as number >= 0;
}

/** Whose pieces a record makes an object, if it does; one that cannot be read does not, and can be replaced like any other. */
export function objectOf(message: StoredMessage): string | undefined {
  try {
    const { nuid, deleted } = parseMeta(message);
    return deleted ? undefined : nuid;
  } catch {
    return undefined;
  }
}

/** What the public sees of a record. */
export function objectInfo(meta: ObjectMeta, mtime: Date): ObjectInfo {
  const { name, bucket, nuid = "", size = 0, chunks = 0, digest = "", deleted, description, headers, metadata } = meta;
  const link = meta.options?.link;
  const info: ObjectInfo = { name, bucket, nuid, size, chunks, digest, mtime };
  if (deleted) info.deleted = deleted;
  if (description) info.description = description;
  if (headers) info.headers = headers;
  if (metadata) info.metadata = metadata;
  if (link) info.link = { bucket: link.bucket, ...(link.name && { name: link.name }) };
  return info;
}

/** What a record says; one that cannot be read is left out, and told of. */
export function readInfo(message: StoredMessage, logger: Logger): ObjectInfo | null {
  try {
    return objectInfo(parseMeta(message), message.time);
  } catch (error) {
    logger.warn(error instanceof Error ? error.message : String(error));
    return null;
  }
}
