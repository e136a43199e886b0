import { nuid } from "@nats-io/nats-core";
import type { HeaderPart } from "../connection/nats/headers.ts";
import { HeaderBlock } from "../connection/nats/headers.ts";
import { Unavailable } from "../connection/unavailable.ts";
import { delay } from "../delay.ts";
import { ErrorCode, isServerError } from "../wire/api.ts";
import type { Call } from "../wire/call.ts";
import { wholeSeconds } from "../wire/durations.ts";
import { leaderGet } from "../wire/leader_get.ts";
import { mayBeStored, publish } from "../wire/publish.ts";
import { type BatchMessage, publishBatch } from "../wire/publish_batch.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { operationOf } from "./kv_entry.ts";
import type { KvStream } from "./_kv_stream.ts";
import { checkValueTtl, type KvWrite } from "./kv_write.ts";

/** Longest pause after a refusal whose reason has passed, in milliseconds. */
const PAUSE_MS = 20;

/** Looks that are under way at the same time. */
const IN_FLIGHT = 64;

/**
 * The end of a transaction: all writes are stored, the last of them with this revision and those before with the ones right before it, in the order in
 * which their keys were first written; or a check did not hold, and none is.
 *
 * @category Buckets
 */
export type KvCommitResult = { ok: true; revision: number } | { ok: false };

/** A condition: the revision that a key must have, or `null` if it must have no value. */
export interface Check {
  readonly subject: string;
  readonly revision: number | null;
}

/** A write of a transaction. */
export type TransactionWrite = Omit<KvWrite, "guard">;

/** A write with the condition that its message carries. */
interface Message {
  readonly write: TransactionWrite;
  readonly check: Check | undefined;
}

/**
 * One commit, over all attempts of its call. Each message has an id of its own, so the server refuses a batch that it has stored already, and the stored
 * messages identify their commit.
 */
export class KvCommit {
  readonly #stream: KvStream;
  readonly #messages: Message[];
  readonly #checks: readonly Check[];
  /** Sequences that the keys without a value must have: that of a marker, or 0. */
  readonly #empty: Map<string, number> = new Map();
  #nonce = nuid.next();

  /** @throws {RangeError} If there is no write, or there are more checks than the writes can carry. */
  constructor(stream: KvStream, writes: readonly TransactionWrite[], checks: readonly Check[]) {
    this.#stream = stream;
    this.#checks = checks;
    this.#messages = messagesOf(writes, checks);
  }

  /** Stores all writes; `null` if they are unconfirmed. */
  async run(call: Call): Promise<KvCommitResult | null> {
    for (;;) {
      try {
        await this.#open(call);
        return this.#committed(call, await this.#send(call));
      } catch (error) {
        if (error instanceof Unavailable) throw error;
        if (isServerError(error, ErrorCode.batchDuplicate)) return await this.#found(call);
        if (isServerError(error, ErrorCode.wrongLastSequenceUnknown)) {
          throw new Unavailable("no_leader", "Another write of one of the keys is in flight", { cause: error });
        }
        if (!isServerError(error, ErrorCode.wrongLastSequence)) throw error;
        const result = await this.#refused(call);
        if (result !== "again") return result;
      }
      await delay(Math.random() * PAUSE_MS);
    }
  }

  async #open(call: Call): Promise<void> {
    const values = this.#messages.filter(({ write }) => write.ttl !== undefined);
    if (this.#messages.length > 1) await this.#stream.openWithBatches(call, "A transaction of several writes");
    if (values.length > 0) {
      const config = await this.#stream.openWithTtl(call);
      if (values.some(({ write, check }) => check?.revision !== null || check.subject !== write.subject)) {
        checkValueTtl(this.#stream, config);
      }
    }
    if (!this.#stream.config) await this.#stream.open(call);
  }

  /** Sends the writes; returns the sequence of the last one. */
  async #send(call: Call): Promise<number> {
    const { config } = this.#stream;
    const messages = this.#messages.map((message, i): BatchMessage => ({
      subject: message.write.subject,
      payload: message.write.value,
      headers: this.#headersOf(message, i),
    }));
    try {
      if (messages.length > 1) return (await publishBatch(call, this.#stream.name, () => messages)).seq;
      const [{ subject, payload, headers }] = messages;
      return (await publish(call, subject, payload, new HeaderBlock(...headers), true)).seq;
    } catch (error) {
      throw this.#stream.refused(error, config);
    }
  }

  #headersOf({ write: { subject, marker, ttl }, check }: Message, i: number): HeaderPart[] {
    const expected = check && (check.revision ?? this.#empty.get(check.subject) ?? 0);
    return [{
      ...marker,
      "Nats-Msg-Id": `${this.#nonce}.${i}`,
      ...(check && { "Nats-Expected-Last-Subject-Sequence": String(expected) }),
      ...(check && check.subject !== subject && { "Nats-Expected-Last-Subject-Sequence-Subject": check.subject }),
      ...(ttl !== undefined && { "Nats-TTL": `${wholeSeconds(ttl)}s` }),
    }];
  }

  #committed({ session }: Call, revision: number): KvCommitResult {
    const first = revision - this.#messages.length + 1;
    this.#messages.forEach(({ write }, i) => this.#stream.known.wrote(session, write.subject, first + i));
    return { ok: true, revision };
  }

  /** The server has refused the writes as a check does not hold, or because it has stored them before. */
  async #refused(call: Call): Promise<KvCommitResult | null | "again"> {
    const newest = await this.#look(call);
    const isUnconfirmed = mayBeStored(call, this.#messages[this.#messages.length - 1].write.subject);
    if (isUnconfirmed) {
      const found = this.#foundIn(call, newest);
      if (found) return found;
      if (!this.#messages.some(({ write: { subject } }) => this.#isUntouched(subject, newest.get(subject) ?? null))) {
        return null;
      }
    }
    const isBroken = this.#checks.some(({ subject, revision }) => {
      const message = newest.get(subject) ?? null;
      if (revision !== null) return message?.sequence !== revision;
      return message !== null && operationOf(message) === "put";
    });
    if (isBroken) return { ok: false };
    for (const { subject } of this.#checks) this.#empty.set(subject, newest.get(subject)?.sequence ?? 0);
    // The refused ones are not stored, and what has not arrived meanwhile is refused as they were.
    if (!isUnconfirmed) this.#nonce = nuid.next();
    return "again";
  }

  /** Where the writes are stored, by those that are not replaced; `null` if all of them are replaced. */
  async #found(call: Call): Promise<KvCommitResult | null> {
    return this.#foundIn(call, await this.#look(call));
  }

  #foundIn(call: Call, newest: ReadonlyMap<string, StoredMessage | null>): KvCommitResult | null {
    for (const [i, { write: { subject } }] of this.#messages.entries()) {
      const message = newest.get(subject);
      if (message?.header("Nats-Msg-Id") !== `${this.#nonce}.${i}`) continue;
      return this.#committed(call, message.sequence - i + this.#messages.length - 1);
    }
    return null;
  }

  /** Whether a key has not been written since the transaction began: so an unconfirmed try is not stored, as it would have written the key. */
  #isUntouched(subject: string, message: StoredMessage | null): boolean {
    const floor = Math.max(0, ...this.#checks.map(({ revision }) => revision ?? 0), ...this.#empty.values());
    if (message !== null) return message.sequence <= floor;
    return this.#stream.ttl === Infinity &&
      this.#messages.every(({ write }) => write.subject !== subject || write.ttl === undefined);
  }

  /** The newest message of each key, as the leader has it. */
  async #look(call: Call): Promise<Map<string, StoredMessage | null>> {
    const written = this.#messages.map(({ write: { subject } }) => subject);
    const subjects = [...new Set([...written, ...this.#checks.map(({ subject }) => subject)])];
    const newest = new Map<string, StoredMessage | null>();
    for (let i = 0; i < subjects.length; i += IN_FLIGHT) {
      await Promise.all(
        subjects.slice(i, i + IN_FLIGHT).map(async (subject) => {
          const message = await leaderGet(call, this.#stream.name, { last_by_subj: subject });
          newest.set(subject, message);
          if (message) this.#stream.known.read(call.session, subject, message.sequence);
        }),
      );
    }
    return newest;
  }
}

/** Each message carries one check: that of its own key, or one of a key that is not written. */
function messagesOf(writes: readonly TransactionWrite[], checks: readonly Check[]): Message[] {
  if (writes.length === 0) throw new RangeError("Cannot commit the transaction as it must have ≥ 1 write: it has none");
  const written = new Set(writes.map(({ subject }) => subject));
  const own = new Map(checks.filter(({ subject }) => written.has(subject)).map((check) => [check.subject, check]));
  const others = checks.filter(({ subject }) => !written.has(subject));
  const messages = writes.map((write) => ({ write, check: own.get(write.subject) ?? others.shift() }));
  if (others.length === 0) return messages;
  throw new RangeError(
    `Cannot commit the transaction as it must have at most as many checks as writes (${writes.length}): it has ${checks.length}`,
  );
}
