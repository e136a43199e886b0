import { nuid } from "@nats-io/nats-core";
import { checkDuration, wrongType } from "../checks.ts";
import { HeaderBlock } from "../connection/nats/headers.ts";
import { JetStreamStoreError } from "../errors.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { wholeSeconds } from "../wire/durations.ts";
import { isBytes, ownBytes } from "../bucket/own_bytes.ts";
import type { StreamConfig } from "../wire/streams.ts";
import type { KvStream } from "./_kv_stream.ts";

/**
 * How one value is stored.
 *
 * @category Buckets
 */
export interface KvWriteOptions {
  /**
   * Milliseconds that this value lives, rounded up to whole seconds; the bucket's `ttl` ends it, too. Needs nats-server 2.11. For `put` and
   * `update` only in a bucket that keeps one revision of each key, since else the revision before would come back.
   *
   * @default {the bucket's}
   */
  ttl?: number;
}

/** All names of {@linkcode KvWriteOptions}. */
const WRITE_OPTIONS: OptionNames<KvWriteOptions> = { ttl: true };

/** One value on its way into a bucket. */
export interface KvWrite {
  readonly subject: string;
  readonly value: string | Uint8Array;
  /** Milliseconds. */
  readonly ttl: number | undefined;
  readonly guard?: Guard;
  /** The headers of a marker, which hides the key in place of a value. */
  readonly marker?: Record<string, string>;
}

/** What makes the server take a write only if the key's newest message has a certain sequence. It outlives a broken connection. */
export class Guard {
  /** Tells this write from all others. */
  nonce: string = nuid.next();
  /** Whether the write is for a key without a value: a marker that is met is written over. */
  readonly creates: boolean;
  /** Sequence that the key's newest message must have; 0: there must be none. */
  expected: number;

  constructor(expected: number) {
    this.creates = expected === 0;
    this.expected = expected;
  }

  /**
   * The server has refused a try. Clusters of 2.11 remember the message id of what they have refused as one that is still in flight, so the next try
   * needs another id; but not while an earlier attempt is unconfirmed, as only its id shows whether it is stored.
   */
  renew(isUnconfirmed: boolean): void {
    if (!isUnconfirmed) this.nonce = nuid.next();
  }
}

/** A write with a guard. */
export type GuardedWrite = KvWrite & { readonly guard: Guard };

/** The marker of a deleted key. */
export const DELETE: Record<string, string> = { "KV-Operation": "DEL" };

/** The marker of a key that is deleted with all its revisions. */
export const PURGE: Record<string, string> = { "KV-Operation": "PURGE", "Nats-Rollup": "sub" };

/**
 * Checks that a value which replaces another one may have a TTL of its own.
 *
 * @throws {JetStreamStoreError} `unsupported`, if the value before would come back when it expires.
 */
export function checkValueTtl({ name }: KvStream, { max_msgs_per_subject: history }: StreamConfig): void {
  if (history === 1) return;
  throw new JetStreamStoreError(
    "unsupported",
    `A value of ${name} cannot have a 'ttl' of its own, as the bucket keeps ${history} revisions of each key: the one before would come back. Use a ` +
      "bucket with 'history' 1, or create()",
  );
}

/** The headers of a write; `undefined` if it needs none. */
export function headersOf({ ttl, guard, marker }: KvWrite): HeaderBlock | undefined {
  if (ttl === undefined && !guard && !marker) return undefined;
  return new HeaderBlock({
    ...marker,
    ...(guard && { "Nats-Expected-Last-Subject-Sequence": String(guard.expected), "Nats-Msg-Id": guard.nonce }),
    ...(ttl !== undefined && { "Nats-TTL": `${wholeSeconds(ttl)}s` }),
  });
}

/**
 * A write, checked; bytes as they are now.
 *
 * @throws {TypeError | RangeError} If the value is neither a well-formed string nor bytes, or an option is not what it must be.
 */
export function checkWrite(
  subject: string,
  value: unknown,
  options: KvWriteOptions | null | undefined,
  doing: string,
): KvWrite {
  const own = checkValue(value, doing);
  const { ttl } = checkWriteOptions(options, doing);
  return { subject, value: own, ttl };
}

/**
 * The options of a write, checked.
 *
 * @throws {TypeError | RangeError} If one is not what it must be.
 */
export function checkWriteOptions(options: KvWriteOptions | null | undefined, doing: string): KvWriteOptions {
  const { ttl } = checkOptions(options, WRITE_OPTIONS, doing);
  if (ttl !== undefined) checkDuration(ttl, doing, "ttl", 1);
  return { ttl };
}

/**
 * A value, checked: bytes as they are now.
 *
 * @throws {TypeError} If it is neither a well-formed string nor bytes.
 */
function checkValue(value: unknown, doing: string): string | Uint8Array {
  if (isBytes(value)) return ownBytes(value, doing, "value");
  if (typeof value !== "string") throw wrongType(`${doing} as 'value' must be a string or a Uint8Array`, value);
  if (!value.isWellFormed()) {
    throw new TypeError(`Cannot ${doing} as 'value' must be well-formed Unicode: it has a lone surrogate`);
  }
  return value;
}
