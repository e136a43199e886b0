import { settledWithin } from "../../delay.ts";
import { Unavailable } from "../../connection/unavailable.ts";

interface Waiting {
  amount: number;
  begin: () => void;
}

/**
 * How much may be under way at the same time, in bytes, requests or batches: the server disconnects slow consumers, and data written faster than
 * the socket sends it is buffered in memory.
 */
export class Budget {
  readonly #limit: number;
  /** Who has asked, the first one first. */
  readonly #waiting: Set<Waiting> = new Set();
  #used = 0;
  #ended: Unavailable | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Acquires an amount if that is possible at once; the caller must release it. */
  tryTake(amount: number): boolean {
    if (this.#waiting.size > 0 || !this.#fits(amount)) return false;
    this.#used += amount;
    return true;
  }

  /**
   * Acquires an amount, first come first served; more than the limit, once nothing else is acquired. The caller must release it.
   *
   * @param deadline Tells by when it must have begun.
   * @throws {Unavailable} If that is over, or the budget has ended.
   */
  async take(amount: number, deadline: () => number): Promise<void> {
    if (this.#ended) throw this.#ended;
    if (this.tryTake(amount)) return;
    const { promise, resolve: begin } = Promise.withResolvers<void>();
    const mine = { amount, begin };
    this.#waiting.add(mine);
    // The deadline of a stream moves on.
    do await settledWithin(promise, deadline() - performance.now()); while (
      this.#waiting.has(mine) && performance.now() < deadline()
    );
    if (this.#ended) throw this.#ended;
    if (performance.now() < deadline() && !this.#waiting.has(mine)) return;
    // What has begun is released; what has not may have kept others waiting that fit.
    this.give(this.#waiting.delete(mine) ? 0 : amount);
    throw new Unavailable("timeout", "Other calls used the budget until the deadline");
  }

  /** Acquires an amount for as long as `work` runs. Throws as {@linkcode Budget.take} does. */
  async during<T>(amount: number, deadline: () => number, work: () => Promise<T>): Promise<T> {
    await this.take(amount, deadline);
    try {
      return await work();
    } finally {
      this.give(amount);
    }
  }

  /** Releases an amount. */
  give(amount: number): void {
    this.#used -= amount;
    for (const next of this.#waiting) {
      if (!this.#fits(next.amount)) return;
      this.#waiting.delete(next);
      this.#used += next.amount;
      next.begin();
    }
  }

  /** Nothing is under way any more: all who wait throw this. */
  end(reason: Unavailable): void {
    this.#ended = reason;
    for (const { begin } of this.#waiting) begin();
    this.#waiting.clear();
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#limit;
  }
}

/** One budget for each stream of each session, with the same limit. */
export function budgetPerStream(limit: number): (session: WeakKey, stream: string) => Budget {
  const budgetsOf = new WeakMap<WeakKey, Map<string, Budget>>();
  return (session, stream) => {
    let budgets = budgetsOf.get(session);
    if (!budgets) budgetsOf.set(session, budgets = new Map());
    let budget = budgets.get(stream);
    if (!budget) budgets.set(stream, budget = new Budget(limit));
    return budget;
  };
}

/** One budget for each session, with the same limit. */
export function budgetPerSession(limit: number): (session: WeakKey) => Budget {
  const budgets = new WeakMap<WeakKey, Budget>();
  return (session) => {
    let budget = budgets.get(session);
    if (!budget) budgets.set(session, budget = new Budget(limit));
    return budget;
  };
}
