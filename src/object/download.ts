import { JetStreamStoreError } from "../errors.ts";
import type { Context } from "../wire/context.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import { Digest, sameDigest } from "./object_digest.ts";
import { damaged, type Found } from "./object_reader.ts";

/**
 * The bytes of an object as they are taken: what is not taken yet is not asked for, except the next few pieces. It goes on after a reconnect, and
 * ends with an error when it cannot be whole.
 */
export class Download implements UnderlyingDefaultSource<Uint8Array> {
  readonly #context: Context;
  readonly #found: Found;
  readonly #digest = new Digest();
  /** What has come and is not taken. */
  #pieces: StoredMessage[];
  /** What is on its way. */
  #next: Promise<StoredMessage[]> | null = null;
  /** Pieces that have not come. */
  #left: number;
  /** Sequence of the last piece that has come. */
  #after = 0;
  #size = 0;
  #cancelled = false;

  /** @param pieces The first ones. */
  constructor(context: Context, found: Found, pieces: StoredMessage[]) {
    this.#context = context;
    this.#found = found;
    this.#left = found.meta.chunks;
    this.#pieces = this.#came(pieces);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { meta } = this.#found;
    if (this.#pieces.length === 0 && this.#next) this.#pieces = this.#came(await this.#next);
    if (this.#left > 0 && this.#next === null) this.#fetch();
    const piece = this.#pieces.pop();
    if (piece) {
      this.#digest.update(piece.data);
      this.#size += piece.data.length;
      // A copy: the view of the socket's buffer is not the taker's to keep or give away.
      controller.enqueue(new Uint8Array(piece.data));
    }
    if (this.#left > 0 || this.#pieces.length > 0) return;
    if (meta.size > 0 && (this.#size !== meta.size || !sameDigest(meta.digest, this.#digest.end()))) {
      throw damaged(meta);
    }
    controller.close();
  }

  cancel(): void {
    this.#cancelled = true;
  }

  /** Takes note of a batch; returns it in the order of popping. */
  #came(pieces: StoredMessage[]): StoredMessage[] {
    this.#next = null;
    this.#left -= pieces.length;
    this.#after = pieces.at(-1)?.sequence ?? this.#after;
    return pieces.reverse();
  }

  #fetch(): void {
    const { reader, meta } = this.#found;
    const stopIfCancelled = () => {
      if (this.#cancelled) throw new DOMException("The stream was cancelled", "AbortError");
    };
    this.#next = this.#context.connection.attempt(
      async (session, deadline) => {
        const fetch = (sure: boolean) =>
          reader.pieces(session, meta, this.#after, this.#left, deadline, sure, stopIfCancelled);
        const pieces = await fetch(false);
        // A replica may lag behind.
        return pieces.length > 0 ? pieces : await fetch(true);
      },
      { timeout: this.#context.timeout, persist: true },
    ).then((pieces) => {
      if (pieces === null) {
        throw new JetStreamStoreError("disconnected", `The object "${meta.name}" broke off: the connection was lost`);
      }
      if (pieces.length === 0) {
        throw new JetStreamStoreError("replaced", `The object "${meta.name}" was replaced or has expired meanwhile`);
      }
      return pieces;
    });
    // Who takes the next piece will hear of it.
    this.#next.catch(() => {});
  }
}
