/**
 * The newest sequences of a stream that this process alone has stored, without a gap: within them no other process has written, so no other info can name a
 * version of this process.
 */
export class OwnSequences {
  #from = Infinity;
  #to = -Infinity;

  /** Messages of this process were stored, the last of them with this sequence. */
  stored(sequence: number, count: number = 1): void {
    const first = sequence - count + 1;
    // One that does not follow the others is a late acknowledgement, or of a stream that was made again.
    if (first !== this.#to + 1) this.#from = first;
    this.#to = sequence;
  }

  /** Whether all of these sequences are among them. */
  covers(from: number, to: number): boolean {
    return this.#from <= from && to <= this.#to;
  }

  /** Forgets all: the stream has gone. */
  clear(): void {
    this.#from = Infinity;
    this.#to = -Infinity;
  }
}
