import { JetStreamStoreError } from "../errors.ts";
import { shownName } from "../shown.ts";
import type { Pieces } from "./pieces.ts";

/**
 * The bytes of an object as they are taken: what is not taken yet is not asked for, except the next few pieces. It goes on after a reconnect, and
 * ends with an error when it cannot be whole.
 */
export class Download implements UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> {
  readonly #pieces: Pieces;
  /** What has come and is not taken, the last piece first. */
  #ready: Uint8Array[];
  /** What is on its way. */
  #next: Promise<Uint8Array[]> | null = null;

  /** @param first The first pieces. */
  constructor(pieces: Pieces, first: Uint8Array[]) {
    this.#pieces = pieces;
    this.#ready = first.reverse();
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    if (this.#ready.length === 0 && this.#next) {
      this.#ready = (await this.#next).reverse();
      this.#next = null;
    }
    if (this.#pieces.left > 0 && !this.#next) {
      this.#next = this.#fetch();
      // Who takes the next piece will hear of it.
      this.#next.catch(() => {});
    }
    const piece = this.#ready.pop();
    // A copy: the view of the socket's buffer is not the taker's to keep or give away.
    if (piece) controller.enqueue(new Uint8Array(piece));
    if (this.#ready.length === 0 && !this.#next) controller.close();
  }

  async #fetch(): Promise<Uint8Array[]> {
    const { meta: { name }, stream: { context: { connection, timeout } } } = this.#pieces;
    const pieces = await connection.attempt(
      (call) => this.#pieces.next(call),
      { timeout, persist: true, patient: true },
    );
    if (pieces === null) {
      throw new JetStreamStoreError("disconnected", `The object "${shownName(name)}" broke off: NATS does not answer`);
    }
    if (pieces.length > 0) return pieces;
    throw new JetStreamStoreError(
      "replaced",
      `The object "${shownName(name)}" was replaced, deleted or has expired meanwhile`,
    );
  }
}
