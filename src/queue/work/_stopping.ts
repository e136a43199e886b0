import { delay } from "../../delay.ts";
import type { Delivery } from "../delivery/delivery.ts";
import type { HeldJobs } from "../delivery/held_jobs.ts";

/** What a worker waits for while it stops: the end of its runs, or the first deadline of those who stop it. */
export class Stopping {
  readonly #held: HeldJobs;
  /** Runs whose handlers wait for the worker's end: those who stop it do not wait for these. */
  readonly #callers: Set<Delivery> = new Set();
  #begun = false;
  readonly #late = Promise.withResolvers<void>();
  readonly #idle = Promise.withResolvers<void>();
  readonly #othersIdle = Promise.withResolvers<void>();

  constructor(held: HeldJobs) {
    this.#held = held;
  }

  /** Ends the wait after so many milliseconds, or when the signal aborts. */
  limit(deadline: number, signal: AbortSignal): void {
    delay(deadline, { signal }).then(() => this.#late.resolve());
  }

  /** Waits for something, but not beyond the deadline. */
  async within(promise: Promise<unknown>): Promise<void> {
    await Promise.race([promise, this.#late.promise]);
  }

  /** Handlers of these runs wait for the end. */
  calledBy(runs: Delivery[]): void {
    for (const run of runs) this.#callers.add(run);
    this.look();
  }

  /** Nothing starts any more, and what had not started is given back. */
  begin(): void {
    this.#begun = true;
    this.look();
  }

  /** Looks which runs there still are: called when one has ended. */
  look(): void {
    if (!this.#begun) return;
    const running = [...this.#held.running.values()];
    if (running.length === 0) this.#idle.resolve();
    if (running.every((run) => this.#callers.has(run))) this.#othersIdle.resolve();
  }

  /** Resolves when nothing runs. */
  get idle(): Promise<void> {
    return this.#idle.promise;
  }

  /** Resolves when nothing runs but what waits for that. */
  get othersIdle(): Promise<void> {
    return this.#othersIdle.promise;
  }
}
