import { isOwnHeaderName } from "../wire/header_names.ts";
import { checkLabels, checkObject, checkSignal, checkString, checkText, checkWhole, wrong } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { shownName } from "../shown.ts";
import { checkSubject, encodeObjectName, isName } from "../wire/tokens.ts";
import type { ObjectLink } from "./format/object_info.ts";
import { BUCKET_OPTIONS, type BucketOptions, checkBucketOptions } from "../bucket/bucket_options.ts";

/**
 * How an object bucket is made; of one that exists already, what is given here and differs is changed at the first write, and the rest is kept.
 *
 * @category Buckets
 */
export interface ObjectBucketOptions extends BucketOptions {
  /**
   * Bytes of the chunks that larger objects are stored in; fewer where the server takes no messages as large.
   *
   * @default {131_072}
   */
  maxChunkSize?: number;
}

/**
 * What is stored along with an object.
 *
 * @category Buckets
 */
export interface PutOptions {
  /** What the object is. */
  description?: string;
  /** Headers for the object's readers, for instance its content type. */
  headers?: Record<string, string | string[]>;
  /** Labels of your own. */
  metadata?: Record<string, string>;
  /**
   * Bytes of the chunks that the object is stored in, if it is larger.
   *
   * @default {the bucket's `maxChunkSize`}
   */
  chunkSize?: number;
}

/**
 * What {@linkcode ObjectBucket.update} changes: what is not given stays, `null` removes it.
 *
 * @category Buckets
 */
export interface ObjectUpdate {
  /**
   * Its new name, which no other object or link may have: both names change in one step, so that a read finds it under one of them. Links to the old
   * name lead to nothing then. Needs nats-server 2.12.
   */
  name?: string;
  /** What the object is. */
  description?: string | null;
  /** Headers for the object's readers, in place of all that it had. */
  headers?: Record<string, string | string[]> | null;
  /** Labels of your own, in place of all that it had. */
  metadata?: Record<string, string> | null;
}

/**
 * Options of {@linkcode ObjectBucket.putStream}.
 *
 * @category Buckets
 */
export interface PutStreamOptions extends PutOptions {
  /** Gives the upload up: it throws the signal's reason, and nothing is stored. */
  signal?: AbortSignal;
}

const BUCKET: OptionNames<ObjectBucketOptions> = { ...BUCKET_OPTIONS, maxChunkSize: true };

const PUT: OptionNames<PutOptions> = { description: true, headers: true, metadata: true, chunkSize: true };

const PUT_STREAM: OptionNames<PutStreamOptions> = { ...PUT, signal: true };

const UPDATE: OptionNames<ObjectUpdate> = { name: true, description: "null", headers: "null", metadata: "null" };

const LINK: OptionNames<ObjectLink> = { bucket: true, name: true };

/** Largest chunk, in bytes: no server takes larger messages. */
const MAX_CHUNK_BYTES = 67_108_864;

/**
 * The options of a bucket, checked.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkObjectBucketOptions(given: ObjectBucketOptions | null | undefined): ObjectBucketOptions {
  const options = checkBucketOptions(checkOptions(given, BUCKET, "open the bucket"));
  const { maxChunkSize } = options;
  if (maxChunkSize !== undefined) checkWhole(maxChunkSize, "open the bucket", "maxChunkSize", 1, MAX_CHUNK_BYTES);
  return options;
}

/**
 * What is to be stored along with an object, checked: as it is now, since what the caller does to it later must not count.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkPutOptions(given: PutOptions | null | undefined, doing: string): PutOptions {
  const options = checkOptions(given, PUT, doing);
  checkStored(options, doing);
  return copyOf(options);
}

/**
 * As {@linkcode checkPutOptions}, of an upload.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkPutStreamOptions(given: PutStreamOptions | null | undefined, doing: string): PutStreamOptions {
  const options = checkOptions(given, PUT_STREAM, doing);
  checkStored(options, doing);
  if (options.signal !== undefined) checkSignal(options.signal, doing);
  return copyOf(options);
}

/**
 * What is to be changed, checked, as it is now.
 *
 * @throws {TypeError} Naming the option, its value and the rule.
 */
export function checkUpdate(given: ObjectUpdate, doing: string): ObjectUpdate {
  checkObject(given, doing, "changes");
  const { name, description, headers, metadata } = checkOptions(given, UPDATE, doing);
  if (name !== undefined) checkText(name, doing, "name");
  checkStored({
    ...(description !== null && { description }),
    ...(headers !== null && { headers }),
    ...(metadata !== null && { metadata }),
  }, doing);
  return { name, description, headers: headers && { ...headers }, metadata: metadata && { ...metadata } };
}

/**
 * Where a link is to lead, checked, as it is now.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkLink(given: ObjectLink, doing: string): ObjectLink {
  checkObject(given, doing, "target");
  const { bucket, name } = checkOptions(given, LINK, doing);
  checkText(bucket, doing, "target.bucket");
  if (!isName(bucket)) {
    throw wrong(RangeError, `${doing} as 'target.bucket' must be 1 to 64 of A-Z a-z 0-9 _ -`, bucket);
  }
  if (name === undefined) return { bucket };
  checkText(name, doing, "target.name");
  checkSubject(`$O.${bucket}.M.${encodeObjectName(name)}`, doing, "target.name");
  return { bucket, name };
}

function copyOf<O extends PutOptions>(options: O): O {
  const { headers, metadata } = options;
  return { ...options, ...(headers && { headers: { ...headers } }), ...(metadata && { metadata: { ...metadata } }) };
}

function checkStored({ description, headers, metadata, chunkSize }: PutOptions, doing: string): void {
  if (description !== undefined) checkString(description, doing, "description");
  if (chunkSize !== undefined) checkWhole(chunkSize, doing, "chunkSize", 1, MAX_CHUNK_BYTES);
  checkLabels(metadata, doing);
  if (headers !== undefined) checkObject(headers, doing, "headers");
  for (const [header, values] of Object.entries(headers ?? {})) {
    if (!isOwnHeaderName(header)) {
      throw wrong(TypeError, `${doing} as a header's name must be a token and not begin with Nats- or Job-`, header);
    }
    for (const value of [values].flat()) checkString(value, doing, `headers.${shownName(header)}`);
  }
}
