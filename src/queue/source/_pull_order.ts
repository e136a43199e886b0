import type { Pulls } from "./_pulls.ts";

/** A round in which the lowest priority, or the one above it, is asked first: strict order would starve them. */
const LOWEST_FIRST_EVERY = 16;
const NEXT_LOWEST_FIRST_EVERY = 4;

/** Decides in which order a worker asks the durable consumers. */
export class PullOrder {
  #round = 0;

  /**
   * The order of the next round: the most urgent priority first, but now and then a lower one. The partitions of keys, in random order, take turns
   * with the priorities.
   *
   * @param all The durable consumers of the priorities, the most urgent first, and behind them those of the partitions.
   * @param priorities How many of them are priorities.
   */
  next(all: readonly Pulls[], priorities: number): Pulls[] {
    const round = ++this.#round;
    const byPriority = all.slice(0, priorities);
    const first = byPriority.at(round % LOWEST_FIRST_EVERY === 0 ? -1 : round % NEXT_LOWEST_FIRST_EVERY === 0 ? -2 : 0);
    if (first) byPriority.unshift(first);
    const partitions = all.slice(priorities);
    const start = Math.floor(Math.random() * partitions.length);
    partitions.push(...partitions.splice(0, start));
    return round % 2 === 0 ? [...byPriority, ...partitions] : [...partitions, ...byPriority];
  }
}
