import { wrong } from "../checks.ts";
import type { AttemptOptions } from "../connection/attempts.ts";
import { isNoResponders, Unavailable } from "../connection/unavailable.ts";
import type { JetStreamStoreError } from "../errors.ts";
import { rejecting } from "../rejecting.ts";
import { ErrorCode, isServerError, lastSequenceOf } from "../wire/api.ts";
import type { Call } from "../wire/call.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { mayBeStored, publish } from "../wire/publish.ts";
import type { Session } from "../wire/session.ts";
import type { StreamConfig } from "../wire/streams.ts";
import { operationOf } from "./kv_entry.ts";
import { checkKvDeleteOptions, type KvDeleteOptions } from "./kv_options.ts";
import type { KvStream } from "./_kv_stream.ts";
import {
  checkValueTtl,
  checkWrite,
  DELETE,
  Guard,
  type GuardedWrite,
  headersOf,
  type KvWrite,
  type KvWriteOptions,
  PURGE,
} from "./kv_write.ts";

/**
 * For writes without a guard or a message id, by which the server would know them again: a silent server may read the first one long after a repeat of
 * it, and store it over what was written behind that.
 */
const UNGUARDED: Partial<AttemptOptions> = { repeatable: ({ mayArrive }) => !mayArrive };

/** Writes to the stream under a bucket. */
export class KvWriter {
  readonly #stream: KvStream;

  constructor(stream: KvStream) {
    this.#stream = stream;
  }

  /** {@linkcode KvBucket.put}. */
  put(key: string, value: string | Uint8Array, options?: KvWriteOptions): Promise<number | null> {
    return rejecting(() => {
      const write = this.#write(key, value, options, "store the value");
      return this.#stream.observe("put", (call) => this.store(call, write), UNGUARDED);
    });
  }

  /** {@linkcode KvBucket.create}. */
  create(key: string, value: string | Uint8Array, options?: KvWriteOptions): Promise<number | false | null> {
    const write = { ...this.#write(key, value, options, "create the key"), guard: new Guard(0) };
    return this.#stream.observe("create", (call) => this.guarded(call, write));
  }

  /** {@linkcode KvBucket.update}. */
  update(
    key: string,
    value: string | Uint8Array,
    revision: number,
    options?: KvWriteOptions,
  ): Promise<number | false | null> {
    const write = this.#write(key, value, options, "update the value");
    if (!Number.isSafeInteger(revision) || revision < 1) {
      const rule = "must be a whole number ≥ 1 (create() is for keys without a value)";
      throw wrong(RangeError, `update the value as 'revision' ${rule}`, revision);
    }
    const guarded = { ...write, guard: new Guard(revision) };
    return this.#stream.observe("update", (call) => this.guarded(call, guarded));
  }

  /** {@linkcode KvBucket.delete} and {@linkcode KvBucket.purge}. */
  remove(
    key: string,
    name: "delete" | "purge",
    options: KvDeleteOptions | undefined,
  ): Promise<boolean | null> {
    const doing = `${name} the key`;
    const subject = this.#stream.subjectOf(key, doing);
    const { revision } = checkKvDeleteOptions(options, doing);
    const guard = revision === undefined ? undefined : new Guard(revision);
    const write = { subject, value: "", ttl: undefined, marker: name === "delete" ? DELETE : PURGE, guard };
    return this.#stream.observe(name, (call) => this.mark(call, write), guard ? undefined : UNGUARDED);
  }

  #write(key: string, value: string | Uint8Array, options: KvWriteOptions | undefined, doing: string): KvWrite {
    return checkWrite(this.#stream.subjectOf(key, doing), value, options, doing);
  }

  /** Stores a value; returns the revision. */
  store(call: Call, write: KvWrite): Promise<number> {
    const { config } = this.#stream;
    if (write.marker) return this.#publish(call, write, config);
    if (config && write.ttl === undefined) return this.#publish(call, write, config);
    const opened = write.ttl === undefined ? this.#stream.open(call) : this.#openForTtl(call, write);
    return opened.then((config) => this.#publish(call, write, config));
  }

  /** Stores a value if its guard holds; returns the revision, `false` if it does not, and `null` if it is unconfirmed. */
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
   * @returns `false` if the guard does not hold, and `null` if it is unconfirmed.
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
        throw this.#stream.refused(error, config);
      },
    );
  }

  #stored(session: Session, subject: string, revision: number): number {
    this.#stream.known.wrote(session, subject, revision);
    return revision;
  }

  /** Opens the stream for a value with a TTL of its own. */
  async #openForTtl(call: Call, { guard }: KvWrite): Promise<StreamConfig> {
    const config = await this.#stream.openWithTtl(call);
    if (!guard?.creates) checkValueTtl(this.#stream, config);
    return config;
  }

  /** The key's newest message is another than expected. */
  async #lost(
    call: Call,
    { subject, guard }: GuardedWrite,
    error: JetStreamStoreError,
  ): Promise<number | false | null | "again"> {
    const sequence = lastSequenceOf(error);
    // A read after this call must see the message that refused the write.
    if (sequence > 0) this.#stream.known.read(call.session, subject, sequence);
    const isUnconfirmed = mayBeStored(call, subject);
    if (!isUnconfirmed && !guard.creates) return false;
    const found = sequence > 0 ? await leaderGet(call, this.#stream.name, { seq: sequence }) : null;
    // A single server checks the guard before the message id.
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
