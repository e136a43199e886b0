import { settledWithin } from "../connection/delay.ts";

/** Lets so many do something at the same time; the others wait for their turn, in order. */
export class Turns {
  #free: number;
  #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Does something when there is a turn.
   *
   * @returns `null` if there is none within `patience` milliseconds.
   */
  async take<T>(patience: number, operation: () => Promise<T>): Promise<T | null> {
    if (this.#free > 0) this.#free--;
    else if (!await this.#wait(patience)) return null;
    try {
      return await operation();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }

  async #wait(patience: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    if (await settledWithin(promise, patience)) return true;
    const place = this.#waiting.indexOf(resolve);
    // It may just have got one.
    if (place === -1) return true;
    this.#waiting.splice(place, 1);
    return false;
  }
}
