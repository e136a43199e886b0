import { Unavailable } from "../connection/unavailable.ts";

/**
 * How much may be under way at the same time, in bytes or in requests: a server cuts off who does not take what it has sent, and what a process hands
 * to its socket faster than that can send it fills the memory.
 */
export class Budget {
  readonly #limit: number;
  readonly #waiting: { amount: number; begin: () => void }[] = [];
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes an amount, in the order of asking; more than there is, once nobody else has any. Who takes gives back, within a deadline of its own.
   *
   * @param deadline Tells by when it must have begun, once it can.
   * @throws {Unavailable} If that is over.
   */
  async take(amount: number, deadline: () => number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(amount)) {
      this.#used += amount;
      return;
    }
    await new Promise<void>((begin) => this.#waiting.push({ amount, begin }));
    if (performance.now() < deadline()) return;
    this.give(amount);
    throw new Unavailable("timeout", "Others were served first, and that took too long");
  }

  /** Gives an amount back. */
  give(amount: number): void {
    this.#used -= amount;
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0].amount)) {
      const next = this.#waiting.shift()!;
      this.#used += next.amount;
      next.begin();
    }
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#limit;
  }
}
