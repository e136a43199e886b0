/** Bytes for which room is made because an info says so, which costs nothing until they arrive; for more only as they arrive. */
const TRUSTED_BYTES = 64 * 1024 * 1024;

/** The memory for an object, where its chunks are put as they arrive: by the connection itself where it can, else as copies. */
export class ChunkRoom {
  readonly #size: number;
  #data: Uint8Array<ArrayBuffer>;
  /** Bytes that were added. */
  #length = 0;
  /** Bytes that were added or given away. */
  #placed = 0;

  /** @param size Bytes of all chunks, as an info says. */
  constructor(size: number) {
    this.#size = size;
    this.#data = new Uint8Array(Math.min(size, TRUSTED_BYTES));
  }

  /** What was added. */
  get data(): Uint8Array<ArrayBuffer> {
    return this.#data;
  }

  /** Gives the memory for the next chunk that arrives; `undefined` where that may still move. */
  place(size: number): Uint8Array | undefined {
    const start = this.#placed;
    if (this.#data.length < this.#size || start + size > this.#size) return undefined;
    this.#placed += size;
    return this.#data.subarray(start, this.#placed);
  }

  /** Adds all chunks that have arrived since the last time: those that are in their place already cost nothing. */
  add(chunks: Uint8Array[]): void {
    let end = this.#length;
    const areInPlace = chunks.every(({ buffer, byteOffset, length }) => {
      end += length;
      return buffer === this.#data.buffer && byteOffset === end - length;
    });
    if (!areInPlace) this.#copy(chunks);
    this.#placed = this.#length = chunks.reduce((end, { length }) => end + length, this.#length);
  }

  #copy(chunks: Uint8Array[]): void {
    // One that is here in another place could be written over by those before it.
    const others = chunks.map((chunk) => chunk.buffer === this.#data.buffer ? chunk.slice() : chunk);
    let end = this.#length;
    for (const chunk of others) {
      if (end + chunk.length > this.#data.length) {
        // Twice as much each time, so that the copies do not add up.
        const length = Math.min(this.#size, Math.max(2 * this.#data.length, end + chunk.length));
        this.#data = new Uint8Array(this.#data.buffer.transfer(length));
      }
      this.#data.set(chunk, end);
      end += chunk.length;
    }
  }
}
