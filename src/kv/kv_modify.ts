import { Turns } from "../bucket/turns.ts";
import { checkFunction, wrong } from "../checks.ts";
import { delay } from "../delay.ts";
import type { Call } from "../wire/call.ts";
import { type KvEntry, type KvOperation, StoredEntry } from "./kv_entry.ts";
import type { KvReader } from "./_kv_reader.ts";
import type { KvStream } from "./_kv_stream.ts";
import { checkWrite, checkWriteOptions, DELETE, Guard, type GuardedWrite, type KvWriteOptions } from "./kv_write.ts";
import type { KvWriter } from "./_kv_writer.ts";

/** Longest pause after a lost race, in milliseconds; the first ones are shorter. */
const MAX_PAUSE_MS = 100;

/**
 * Makes the new value of a key from the present entry, `null` if it has none: `null` deletes the key, `undefined` leaves it as it is.
 *
 * @category Buckets
 */
export type KvChange = (entry: KvEntry | null) => string | Uint8Array | null | undefined;

/** A modification of one key, over all attempts of its call. */
export interface KvModification {
  readonly key: string;
  readonly subject: string;
  readonly change: KvChange;
  readonly options: KvWriteOptions;
  /** The write that was sent, and is neither confirmed nor refused yet. */
  pending?: PendingWrite;
}

interface PendingWrite {
  readonly write: GuardedWrite;
  readonly operation: KvOperation;
}

/** Completes "Cannot …". */
export const MODIFYING = "modify the value";

/**
 * A modification, checked.
 *
 * @throws {TypeError | RangeError} If `change` is no function, or an option is not what it must be.
 */
export function checkModification(
  key: string,
  subject: string,
  change: KvChange,
  options: KvWriteOptions | null | undefined,
): KvModification {
  checkFunction(change, MODIFYING, "change");
  return { key, subject, change, options: checkWriteOptions(options, MODIFYING) };
}

/** Changes values by compare and set. */
export class KvModifier {
  readonly #reader: KvReader;
  readonly #writer: KvWriter;
  readonly #turns: Turns;

  constructor(stream: KvStream, reader: KvReader, writer: KvWriter) {
    this.#reader = reader;
    this.#writer = writer;
    this.#turns = stream.context.shared.of(Turns, stream.name);
  }

  /** Reads, changes and writes until no other write comes between; `null` if the last write is unconfirmed. */
  modify(call: Call, modification: KvModification): Promise<KvEntry | null> {
    return this.#turns.take(modification.subject, call.deadline, () => this.#modify(call, modification));
  }

  async #modify(call: Call, modification: KvModification): Promise<KvEntry | null> {
    for (let conflicts = 0;; conflicts++) {
      if (!modification.pending) {
        const entry = await this.#reader.newest(call, modification.key, modification.subject);
        const pending = pendingWrite(modification, entry);
        if (!pending) return entry;
        modification.pending = pending;
      }
      const { write, operation } = modification.pending;
      const revision = await this.#writer.guarded(call, write);
      if (revision === null) return null;
      if (revision !== false) return writtenEntry(call, modification.key, revision, write, operation);
      modification.pending = undefined;
      // Other processes that lost the same race must not all come back at once.
      await delay(Math.random() * Math.min(2 ** conflicts, MAX_PAUSE_MS));
    }
  }
}

/** The write that the caller's function returns; `undefined`: none. */
function pendingWrite({ subject, change, options }: KvModification, entry: KvEntry | null): PendingWrite | undefined {
  const value = change(entry);
  if (value === undefined || (value === null && entry === null)) return undefined;
  const guard = new Guard(entry?.revision ?? 0);
  if (value === null) {
    return { write: { subject, value: "", ttl: undefined, marker: DELETE, guard }, operation: "delete" };
  }
  if (typeof (value as unknown as PromiseLike<unknown>).then === "function") {
    throw wrong(TypeError, `${MODIFYING} as 'change' must return the value itself, not a promise`, value);
  }
  return { write: { ...checkWrite(subject, value, options, MODIFYING), guard }, operation: "put" };
}

function writtenEntry(
  call: Call,
  key: string,
  revision: number,
  { value }: GuardedWrite,
  operation: KvOperation,
): KvEntry {
  const data = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return new StoredEntry(key, operation, { sequence: revision, time: new Date(call.session.now()), data });
}
