/**
 * Bytes that may be under way at the same time: a server cuts off who does not take what it has sent, and what a process has handed to its socket
 * faster than that could send it fills the memory.
 */
export class ByteBudget {
  readonly #limit: number;
  readonly #waiting: { bytes: number; begin: () => void }[] = [];
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes bytes, in the order of asking; more than there are, once nobody else has any. Who takes gives back, within a deadline of its own. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) this.#used += bytes;
    else await new Promise<void>((begin) => this.#waiting.push({ bytes, begin }));
  }

  /** Gives bytes back. */
  give(bytes: number): void {
    this.#used -= bytes;
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0].bytes)) {
      const next = this.#waiting.shift()!;
      this.#used += next.bytes;
      next.begin();
    }
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#limit;
  }
}
