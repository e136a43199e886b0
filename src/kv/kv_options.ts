import { checkBoolean, checkWhole } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { BUCKET_OPTIONS, type BucketOptions, checkBucketOptions } from "../bucket/bucket_options.ts";
// By the name that mod.ts gives it, so that the documentation of the one leads to the other.
import { checkWatchOptions, WATCH_OPTIONS, type WatchOptions as ObjectWatchOptions } from "../bucket/watch.ts";

/**
 * How a key-value bucket is made; of one that exists already, what is given here and differs is changed at the first write, and the rest is kept.
 *
 * @category Buckets
 */
export interface KvBucketOptions extends BucketOptions {
  /**
   * Revisions that are kept of each key, 1 to 64.
   *
   * @default {1}
   */
  history?: number;
  /**
   * Bytes that a value may have. `-1`: no limit but the server's. The server counts headers, too: up to some 110 bytes of `create`, `update`,
   * `delete`, `purge` and `ttl`.
   *
   * @default {-1}
   */
  maxValueSize?: number;
  /**
   * Whether this handle keeps a mirror of the whole bucket in memory, from its first read until the stores are closed: reads are answered from it
   * while a watch keeps it current, and by the server while it does not. What this handle wrote it reads; what others wrote it sees as soon as
   * the server reports it, or a connection that went silent counts as lost (3 s). Only a purge of the stream itself that leaves no marker
   * (`nats stream purge`) is not reported: what it removed is served until it expires, or until the mirror begins anew.
   *
   * @default {false}
   */
  cache?: boolean;
}

/**
 * What a watch of keys gives.
 *
 * @category Buckets
 */
export interface KvWatchOptions extends ObjectWatchOptions {
  /**
   * Whether it begins with all revisions that are kept, not with the newest one of each key.
   *
   * @default {false}
   */
  includeHistory?: boolean;
  /**
   * Whether the entries come without their values.
   *
   * @default {false}
   */
  metaOnly?: boolean;
  /**
   * The revision to begin with, in place of what is there: all later ones that are kept come, oldest first. One behind the last that was seen continues
   * where an earlier watch ended.
   */
  resumeFrom?: number;
}

/**
 * Which value of a key is read.
 *
 * @category Buckets
 */
export interface KvGetOptions {
  /**
   * The revision: `null`, if it is not kept any more, was a deletion, or another key's.
   *
   * @default {the newest}
   */
  revision?: number;
}

/**
 * How many values are read.
 *
 * @category Buckets
 */
export interface KvGetManyOptions {
  /**
   * Whether all values are as of one moment: no write lies between any two of them. More than 1000 keys, or more than 2 MiB of values, take several
   * requests, which are made again whenever one of the keys was written meanwhile: `null`, if that lasts until the deadline. A key that expires at
   * that moment may be missing.
   *
   * @default {false}
   */
  snapshot?: boolean;
}

/**
 * Under which condition a key is deleted or purged.
 *
 * @category Buckets
 */
export interface KvDeleteOptions {
  /**
   * The revision that the key must still have.
   *
   * @default {whatever it has}
   */
  revision?: number;
}

const GET: OptionNames<KvGetOptions> = { revision: true };

const GET_MANY: OptionNames<KvGetManyOptions> = { snapshot: true };

const DELETE: OptionNames<KvDeleteOptions> = { revision: true };

const BUCKET: OptionNames<KvBucketOptions> = { ...BUCKET_OPTIONS, history: true, maxValueSize: true, cache: true };

const WATCH: OptionNames<KvWatchOptions> = {
  ...WATCH_OPTIONS,
  includeHistory: true,
  metaOnly: true,
  resumeFrom: true,
};

/**
 * The options of a bucket, checked.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkKvOptions(given: KvBucketOptions | null | undefined): KvBucketOptions {
  const options = checkBucketOptions(checkOptions(given, BUCKET, "open the bucket"));
  const { history, maxValueSize, cache } = options;
  if (history !== undefined) checkWhole(history, "open the bucket", "history", 1, 64);
  if (maxValueSize !== undefined && maxValueSize !== -1) {
    checkWhole(maxValueSize, "open the bucket", "maxValueSize", 1, 2 ** 31 - 1);
  }
  if (cache !== undefined) checkBoolean(cache, "open the bucket", "cache");
  return options;
}

/**
 * The options of a watch, checked.
 *
 * @throws {TypeError} Naming the option and the rule.
 */
export function checkKvWatchOptions(given: KvWatchOptions | null | undefined): KvWatchOptions {
  const options = checkOptions(given, WATCH, "watch the keys");
  checkWatchOptions(options, "watch the keys");
  const { includeHistory, metaOnly, resumeFrom, updatesOnly } = options;
  if (includeHistory !== undefined) checkBoolean(includeHistory, "watch the keys", "includeHistory");
  if (metaOnly !== undefined) checkBoolean(metaOnly, "watch the keys", "metaOnly");
  if (resumeFrom !== undefined) checkWhole(resumeFrom, "watch the keys", "resumeFrom", 1, Number.MAX_SAFE_INTEGER);
  if (resumeFrom !== undefined && (updatesOnly || includeHistory)) {
    throw new TypeError(
      "Cannot watch the keys as 'resumeFrom' must not stand beside 'updatesOnly' or 'includeHistory'",
    );
  }
  return options;
}

/**
 * The options of a read, checked.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkKvGetOptions(given: KvGetOptions | null | undefined, doing: string): KvGetOptions {
  const options = checkOptions(given, GET, doing);
  if (options.revision !== undefined) checkWhole(options.revision, doing, "revision", 1, Number.MAX_SAFE_INTEGER);
  return options;
}

/**
 * The options of a read of many values, checked.
 *
 * @throws {TypeError} Naming the option and the rule.
 */
export function checkKvGetManyOptions(given: KvGetManyOptions | null | undefined, doing: string): KvGetManyOptions {
  const options = checkOptions(given, GET_MANY, doing);
  if (options.snapshot !== undefined) checkBoolean(options.snapshot, doing, "snapshot");
  return options;
}

/**
 * The options of a deletion, checked.
 *
 * @throws {TypeError | RangeError} Naming the option, its value and the rule.
 */
export function checkKvDeleteOptions(given: KvDeleteOptions | null | undefined, doing: string): KvDeleteOptions {
  const options = checkOptions(given, DELETE, doing);
  if (options.revision !== undefined) checkWhole(options.revision, doing, "revision", 1, Number.MAX_SAFE_INTEGER);
  return options;
}
