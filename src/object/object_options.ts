import { checkDuration } from "../wire/durations.ts";

/** How a bucket is made; of one that exists already, what is given here and differs is changed at the first write, and the rest is kept. */
export interface ObjectBucketOptions {
  /**
   * Milliseconds that each object lives, at least 100; `0`: until it is deleted.
   *
   * @default {0}
   */
  ttl?: number;
  /**
   * Where the server keeps the objects; of a bucket that exists it cannot be changed.
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
  /**
   * Bytes of the pieces that larger objects are stored in; fewer where the server takes no messages as large.
   *
   * @default {131_072}
   */
  maxChunkSize?: number;
}

/** What is stored along with an object. */
export interface PutOptions {
  /** What the object is. */
  description?: string;
  /** Headers for the object's readers, for instance its content type. */
  headers?: Record<string, string | string[]>;
  /** Labels of your own. */
  metadata?: Record<string, string>;
  /**
   * Bytes of the pieces that the object is stored in, if it is larger.
   *
   * @default {the bucket's `maxChunkSize`}
   */
  chunkSize?: number;
}

/** Options of {@linkcode ObjectBucket.putStream}. */
export interface PutStreamOptions extends PutOptions {
  /** Gives the upload up: it throws the signal's reason, and nothing is stored. */
  signal?: AbortSignal;
}

const OPENING = "open the bucket";
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Checks the options of a bucket.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkBucketOptions(options: ObjectBucketOptions): void {
  const { ttl, storage, replicas, description, metadata, compression, maxBytes, maxChunkSize } = options;
  // The server takes no shorter one.
  if (ttl !== undefined && ttl !== 0) checkDuration(ttl, OPENING, "ttl", 100);
  if (replicas !== undefined) checkWhole(replicas, OPENING, "replicas", 1, 5);
  if (maxBytes !== undefined && maxBytes !== -1) checkWhole(maxBytes, OPENING, "maxBytes", 1, Number.MAX_SAFE_INTEGER);
  if (maxChunkSize !== undefined) checkChunkSize(maxChunkSize, OPENING, "maxChunkSize");
  if (storage !== undefined && storage !== "file" && storage !== "memory") {
    throw new RangeError(
      `Cannot ${OPENING} as 'storage' must be "file" or "memory": current value is ${JSON.stringify(storage)}`,
    );
  }
  if (compression !== undefined && typeof compression !== "boolean") {
    throw new TypeError(
      `Cannot ${OPENING} as 'compression' must be true or false: current value is of type ${typeof compression}`,
    );
  }
  if (description !== undefined) checkString(description, OPENING, "description");
  for (const [label, value] of Object.entries(metadata ?? {})) checkString(value, OPENING, `metadata.${label}`);
}

/**
 * Checks what is to be stored along with an object.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkPutOptions({ description, headers, metadata, chunkSize }: PutOptions, doing: string): void {
  if (description !== undefined) checkString(description, doing, "description");
  if (chunkSize !== undefined) checkChunkSize(chunkSize, doing, "chunkSize");
  for (const [label, value] of Object.entries(metadata ?? {})) checkString(value, doing, `metadata.${label}`);
  for (const [header, values] of Object.entries(headers ?? {})) {
    if (!HEADER_NAME.test(header) || /^(nats|job)-/i.test(header)) {
      throw new TypeError(
        `Cannot ${doing} as a header's name must be a token and not begin with Nats- or Job-: current value is ${
          JSON.stringify(header)
        }`,
      );
    }
    for (const value of Array.isArray(values) ? values : [values]) checkString(value, doing, `headers.${header}`);
  }
}

function checkChunkSize(value: unknown, doing: string, option: string): void {
  checkWhole(value, doing, option, 1, 2 ** 26);
}

function checkWhole(value: unknown, doing: string, option: string, min: number, max: number): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(
    `Cannot ${doing} as '${option}' must be a whole number from ${min} to ${max}: current value is ${String(value)}`,
  );
}

function checkString(value: unknown, doing: string, option: string): void {
  if (typeof value === "string" && value.isWellFormed()) return;
  throw new TypeError(
    `Cannot ${doing} as '${option}' must be well-formed text: current value is ${
      typeof value === "string" ? JSON.stringify(value) : `of type ${typeof value}`
    }`,
  );
}
