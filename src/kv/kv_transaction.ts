import { wrong } from "../checks.ts";
import { shown } from "../shown.ts";
import { MAX_BATCH } from "../wire/publish_batch.ts";
import { type Check, KvCommit, type KvCommitResult, type TransactionWrite } from "./kv_commit.ts";
import type { KvStream } from "./_kv_stream.ts";
import { checkWrite, DELETE, type KvWriteOptions } from "./kv_write.ts";

/**
 * Several writes that are stored together or not at all, under conditions. Made by {@linkcode KvBucket.atomic}; nothing is sent before
 * {@linkcode KvTransaction.commit}.
 *
 * @example Move money
 * ```ts
 * import { close, kvBucket } from "@supercheck/jetstream";
 *
 * const bank = kvBucket("accounts");
 * const [from, to] = [await bank.get("anna"), await bank.get("ben")];
 * if (from && to) {
 *   const result = await bank.atomic()
 *     .check("anna", from.revision).put("anna", `${+from.text() - 10}`)
 *     .check("ben", to.revision).put("ben", `${+to.text() + 10}`)
 *     .commit();
 *   console.log(result?.ok ? "moved" : "read again, and retry");
 * }
 * await close();
 * ```
 *
 * @category Buckets
 */
export class KvTransaction {
  readonly #stream: KvStream;
  readonly #checks: Map<string, Check> = new Map();
  readonly #writes: Map<string, TransactionWrite> = new Map();
  #isCommitted = false;

  /**
   * What `atomic()` is made of.
   * @ignore
   */
  constructor(stream: KvStream) {
    this.#stream = stream;
  }

  /**
   * Demands that a key still has a revision, `null`: that it has no value. The key may be one that the transaction writes, or another one.
   *
   * @throws {RangeError} If another revision of the same key is demanded already, since both cannot hold.
   */
  check(key: string, revision: number | null): this {
    const doing = "check the key";
    const subject = this.#stream.subjectOf(key, doing);
    if (revision !== null && !(Number.isSafeInteger(revision) && revision >= 1)) {
      throw wrong(
        RangeError,
        `${doing} as 'revision' must be a whole number ≥ 1, or null for a key without a value`,
        revision,
      );
    }
    const before = this.#checks.get(subject);
    if (before && before.revision !== revision) {
      throw wrong(
        RangeError,
        `${doing} as 'revision' must be ${shown(before.revision)} as in the check before`,
        revision,
      );
    }
    this.#checks.set(subject, { subject, revision });
    return this;
  }

  /** Stores a value. Of several writes of one key the last one counts. */
  put(key: string, value: string | Uint8Array, options?: KvWriteOptions): this {
    const doing = "put the value";
    return this.#write(checkWrite(this.#stream.subjectOf(key, doing), value, options, doing), doing);
  }

  /** Deletes a key, whether it has a value or not; its older revisions stay in the history. */
  delete(key: string): this {
    const doing = "delete the key";
    return this.#write(
      { subject: this.#stream.subjectOf(key, doing), value: "", ttl: undefined, marker: DELETE },
      doing,
    );
  }

  /**
   * Stores all writes, if all checks hold.
   *
   * @returns Whether they did; `null` if it is not confirmed: without a connection nothing is stored, without an answer all of it may be.
   * @throws {RangeError} If there is no write, or more checks than the writes can carry (one each, that of its own key first).
   * @throws {TypeError} If it was committed before.
   * @throws {JetStreamStoreError} `unsupported`, if several writes meet a server before 2.12.
   */
  async commit(): Promise<KvCommitResult | null> {
    if (this.#isCommitted) {
      throw new TypeError("Cannot commit the transaction as it was committed before: begin another one");
    }
    const commit = new KvCommit(this.#stream, [...this.#writes.values()], [...this.#checks.values()]);
    this.#isCommitted = true;
    return await this.#stream.observe("commit", (call) => commit.run(call));
  }

  #write(write: TransactionWrite, doing: string): this {
    if (this.#writes.size === MAX_BATCH && !this.#writes.has(write.subject)) {
      throw new RangeError(`Cannot ${doing} as a transaction must have ≤ ${MAX_BATCH} writes: it has as many already`);
    }
    this.#writes.set(write.subject, write);
    return this;
  }
}
