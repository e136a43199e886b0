import { JetStreamStoreError } from "../../errors.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";

/** An object's info as ADR-20 has it in JSON. */
export interface ObjectMeta {
  name: string;
  description?: string | null;
  headers?: Record<string, string | string[]> | null;
  metadata?: Record<string, string> | null;
  options?: { link?: { bucket: string; name?: string | null } | null; max_chunk_size?: number | null } | null;
  bucket: string;
  nuid: string;
  size: number;
  mtime: string;
  chunks: number;
  digest?: string | null;
  deleted?: boolean | null;
}

/** An object's info, and the message that keeps it. */
export interface StoredMeta extends ObjectMeta {
  message: StoredMessage;
}

type Check = (value: unknown) => boolean;

const decoder = new TextDecoder();

/** What a version may be called: its name is a token of subjects. All clients take letters and digits. */
const NUID = /^[^\s.*>]{1,200}$/;

/** Bytes of the largest message that a server takes. */
const MAX_CHUNK_BYTES = 67_108_864;

const isText: Check = (value) => typeof value === "string";
const isCount: Check = (value) => Number.isSafeInteger(value) && value as number >= 0;
const isTime: Check = (value) => typeof value === "string" && (value === "" || !Number.isNaN(Date.parse(value)));
const isHeader: Check = (value) => isText(value) || (Array.isArray(value) && value.every(isText));

/** What each field must be, unless it is not there or `null`. */
const FIELDS: Readonly<Record<keyof Omit<ObjectMeta, "name">, Check>> = {
  description: isText,
  headers: (value) => isRecordOf(value, isHeader),
  metadata: (value) => isRecordOf(value, isText),
  options: (value) => isRecord(value) && isOptional(value.max_chunk_size, isCount) && isOptional(value.link, isLink),
  bucket: isText,
  nuid: isText,
  size: isCount,
  mtime: isTime,
  chunks: isCount,
  digest: isText,
  deleted: (value) => typeof value === "boolean",
};
const CHECKS = Object.entries(FIELDS);

/**
 * Reads an object's info. Anybody may have stored it, and what it says of the chunks goes into subjects and sizes.
 *
 * @throws {JetStreamStoreError} `damaged`, if it is none.
 */
export function parseMeta(message: StoredMessage): StoredMeta {
  let meta: unknown;
  try {
    meta = JSON.parse(decoder.decode(message.data));
  } catch (cause) {
    throw damagedInfo(message, "is no JSON", cause);
  }
  if (!isRecord(meta) || typeof meta.name !== "string") throw damagedInfo(message, "has no name");
  for (const [field, check] of CHECKS) {
    if (!isOptional(meta[field], check)) throw damagedInfo(message, `has a '${field}' that cannot be`);
  }
  const { bucket, nuid, size, chunks } = meta as Partial<ObjectMeta>;
  const info = { bucket: bucket ?? "", nuid: nuid ?? "", size: size ?? 0, chunks: chunks ?? 0 };
  // A link has no chunks, so it needs no version.
  if (!NUID.test(info.nuid) && (info.nuid !== "" || info.chunks > 0)) {
    throw damagedInfo(message, "has a 'nuid' that cannot be");
  }
  if (info.size > info.chunks * MAX_CHUNK_BYTES) throw damagedInfo(message, "has more bytes than its chunks can have");
  return Object.assign(meta as unknown as ObjectMeta, info, { message });
}

/** The version that an info says is its object's; `undefined` if it says none, or cannot be read, and can be replaced like any other. */
export function versionOf(message: StoredMessage): string | undefined {
  try {
    const { nuid, deleted } = parseMeta(message);
    return deleted ? undefined : nuid || undefined;
  } catch {
    return undefined;
  }
}

/** The version that an info names, whatever else is wrong with it: its chunks are not ours to remove. */
export function namedVersion(message: StoredMessage): string | undefined {
  try {
    const meta: unknown = JSON.parse(decoder.decode(message.data));
    return isRecord(meta) && meta.deleted !== true && typeof meta.nuid === "string" ? meta.nuid : undefined;
  } catch {
    return undefined;
  }
}

function damagedInfo({ subject }: StoredMessage, what: string, cause?: unknown): JetStreamStoreError {
  return new JetStreamStoreError("damaged", `The info of the object on "${subject}" ${what}: store it again`, {
    cause,
  });
}

function isLink(value: unknown): boolean {
  return isRecord(value) && isText(value.bucket) && isOptional(value.name, isText);
}

function isOptional(value: unknown, check: Check): boolean {
  return value === undefined || value === null || check(value);
}

function isRecordOf(value: unknown, check: Check): boolean {
  return isRecord(value) && Object.values(value).every(check);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
