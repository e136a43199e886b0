import { settledWithin } from "../connection/delay.ts";
import { Unavailable } from "../connection/unavailable.ts";
import type { Session } from "./session.ts";

interface Waiting {
  amount: number;
  begin: () => void;
}

/**
 * How much may be under way at the same time, in bytes, requests or batches: a server cuts off who does not take what it has sent, and what a process hands
 * to its socket faster than that can send it fills the memory.
 */
export class Budget {
  readonly #limit: number;
  /** Who has asked, the first one first. */
  readonly #waiting: Set<Waiting> = new Set();
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes an amount, in the order of asking; more than there is, once nobody else has any. Who takes gives back, within a deadline of its own.
   *
   * @param deadline Tells by when it must have begun.
   * @throws {Unavailable} If that is over.
   */
  async take(amount: number, deadline: () => number): Promise<void> {
    if (this.#waiting.size === 0 && this.#fits(amount)) {
      this.#used += amount;
      return;
    }
    const { promise, resolve: begin } = Promise.withResolvers<void>();
    const mine = { amount, begin };
    this.#waiting.add(mine);
    // The deadline of a stream moves on.
    do await settledWithin(promise, deadline() - performance.now()); while (
      this.#waiting.has(mine) && performance.now() < deadline()
    );
    if (performance.now() < deadline() && !this.#waiting.has(mine)) return;
    // What has begun is given back; what has not may have kept others waiting that fit.
    this.give(this.#waiting.delete(mine) ? 0 : amount);
    throw new Unavailable("timeout", "Others were served first, and that took too long");
  }

  /** Takes an amount for as long as something goes on. Throws as {@linkcode Budget.take} does. */
  async during<T>(amount: number, deadline: () => number, work: () => Promise<T>): Promise<T> {
    await this.take(amount, deadline);
    try {
      return await work();
    } finally {
      this.give(amount);
    }
  }

  /** Gives an amount back. */
  give(amount: number): void {
    this.#used -= amount;
    for (const next of this.#waiting) {
      if (!this.#fits(next.amount)) return;
      this.#waiting.delete(next);
      this.#used += next.amount;
      next.begin();
    }
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#limit;
  }
}

/** One budget for each session, with the same limit. */
export function budgetPerSession(limit: number): (session: Session) => Budget {
  const budgets = new WeakMap<Session, Budget>();
  return (session) => {
    let budget = budgets.get(session);
    if (!budget) budgets.set(session, budget = new Budget(limit));
    return budget;
  };
}
