import type { Call } from "../wire/call.ts";
import { nuid } from "@nats-io/nats-core";
import { checkDuration, wrongType } from "../checks.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { JetStreamStoreError } from "../errors.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { wholeSeconds } from "../wire/durations.ts";
import { HeaderBlock } from "../connection/nats/headers.ts";
import { isBytes, ownBytes } from "../wire/own_bytes.ts";
import { mayBeStored, publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import type { StreamConfig } from "../wire/streams.ts";
import { operationOf } from "./kv_entry.ts";
import type { KvStream } from "./kv_stream.ts";

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
   * needs another id; but not while an earlier try is unconfirmed, as only its id tells whether it is stored.
   */
  renew(isUnconfirmed: boolean): void {
    if (!isUnconfirmed) this.nonce = nuid.next();
  }
}

/** A write with a guard. */
type GuardedWrite = KvWrite & { readonly guard: Guard };

/** The marker of a deleted key. */
export const DELETE: Record<string, string> = { "KV-Operation": "DEL" };

/** The marker of a key that is deleted with all its revisions. */
export const PURGE: Record<string, string> = { "KV-Operation": "PURGE", "Nats-Rollup": "sub" };

/** Writes to the stream under a bucket. */
export class KvWriter {
  readonly #stream: KvStream;

  constructor(stream: KvStream) {
    this.#stream = stream;
  }

  /** Stores a value; returns the revision. */
  store(call: Call, write: KvWrite): Promise<number> {
    const { config } = this.#stream;
    if (write.marker) return this.#publish(call, write, config);
    if (config && write.ttl === undefined) return this.#publish(call, write, config);
    const opened = write.ttl === undefined ? this.#stream.open(call) : this.#openForTtl(call, write);
    return opened.then((config) => this.#publish(call, write, config));
  }

  /** Stores a value if its guard holds; returns the revision, `false` if it does not, and `null` if nobody can tell. */
  async guarded(call: Call, write: GuardedWrite): Promise<number | false | null> {
    for (;;) {
      try {
        return await this.store(call, write);
      } catch (error) {
        if (error instanceof Unavailable) write.guard.renew(mayBeStored(call, write.subject));
        if (isServerError(error, ErrorCode.wrongLastSequenceUnknown)) {
          write.guard.renew(mayBeStored(call, write.subject));
          throw new Unavailable("no_leader", "Another write of this key is in flight", { cause: error });
        }
        if (!isServerError(error, ErrorCode.wrongLastSequence)) throw error;
        const outcome = await this.#lost(call, write, error);
        if (outcome !== "again") return outcome;
      }
    }
  }

  /**
   * Writes a marker, under the guard if there is one; without a bucket there is nothing to hide.
   *
   * @returns `false` if the guard does not hold, and `null` if nobody can tell.
   */
  async mark(call: Call, write: KvWrite): Promise<boolean | null> {
    const { guard } = write;
    try {
      if (!guard) await this.store(call, write);
      else {
        const revision = await this.guarded(call, { ...write, guard });
        return typeof revision === "number" ? true : revision;
      }
    } catch (error) {
      if (!isNoResponders(error) || await this.#stream.isWritable(call)) throw error;
      if (guard) return false;
    }
    return true;
  }

  #publish(call: Call, write: KvWrite, config: StreamConfig | null): Promise<number> {
    const { subject, value, guard } = write;
    // Only what has a message id may be sent twice.
    return publish(call, subject, value, headersOf(write), guard !== undefined).then(
      ({ seq }) => this.#stored(call.session, subject, seq),
      (error) => {
        const otherStream = isServerError(error, ErrorCode.messageTtlOff);
        if (!otherStream && !isNoResponders(error)) throw error;
        if (this.#stream.config === config) this.#stream.forget();
        throw otherStream ? new Unavailable("no_responders", "The bucket was made again", { cause: error }) : error;
      },
    );
  }

  #stored(session: Session, subject: string, revision: number): number {
    this.#stream.known.wrote(session, subject, revision);
    return revision;
  }

  async #openForTtl(call: Call, { guard }: KvWrite): Promise<StreamConfig> {
    const config = await this.#stream.openWithTtl(call);
    const { max_msgs_per_subject: history } = config;
    if (guard?.creates || history === 1) return config;
    throw new JetStreamStoreError(
      "unsupported",
      `A value of ${this.#stream.name} cannot have a 'ttl' of its own, as the bucket keeps ${history} revisions of each key: the one before would ` +
        "come back. Use a bucket with 'history' 1, or create()",
    );
  }

  /** The key's newest message is another than expected. */
  async #lost(
    call: Call,
    { subject, guard }: GuardedWrite,
    error: JetStreamStoreError,
  ): Promise<number | false | null | "again"> {
    const sequence = Number(/wrong last sequence: (\d+)/.exec(error.message)?.[1] ?? 0);
    // A read after this call must see the message that refused the write.
    if (sequence > 0) this.#stream.known.read(call.session, subject, sequence);
    const isUnconfirmed = mayBeStored(call, subject);
    if (!isUnconfirmed && !guard.creates) return false;
    const found = sequence > 0 ? await leaderGet(call, this.#stream.name, { seq: sequence }) : null;
    // A single server looks at the guard before it looks whether it knows the message id.
    if (found?.header("Nats-Msg-Id") === guard.nonce) return this.#stored(call.session, subject, sequence);
    if (guard.creates && (found === null || operationOf(found) !== "put")) {
      guard.expected = found === null ? 0 : sequence;
      guard.renew(isUnconfirmed);
      return "again";
    }
    // Somebody else's value; after an unanswered try it may have taken the place of ours.
    return isUnconfirmed ? null : false;
  }
}

function headersOf({ ttl, guard, marker }: KvWrite): HeaderBlock | undefined {
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
  const { ttl } = checkOptions(options, WRITE_OPTIONS, doing);
  if (ttl !== undefined) checkDuration(ttl, doing, "ttl", 1);
  return { subject, value: own, ttl };
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

function isNoResponders(error: unknown): boolean {
  return error instanceof Unavailable && error.reason === "no_responders";
}
