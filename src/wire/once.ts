import type { Call } from "./call.ts";
import { settledWithin } from "../delay.ts";
import { Unavailable } from "../connection/unavailable.ts";

/**
 * Does something on the server once: all who need it share it. It is done again after a failure, and when it is forgotten.
 *
 * Each caller waits until its own deadline: when the one under whose deadline or session it was begun gives up, the next one continues.
 */
export class Once<T> {
  readonly #make: (call: Call) => Promise<T>;
  #made: Promise<T> | null = null;
  /** What was made; `null` before it is. */
  value: T | null = null;

  constructor(make: (call: Call) => Promise<T>) {
    this.#make = make;
  }

  /**
   * What was made, or is being made; begins if need be.
   *
   * @throws {Unavailable} If that takes longer than the deadline.
   */
  get(call: Call): Promise<T> {
    return this.value !== null && this.#made ? this.#made : this.#share(call);
  }

  /** The next one who needs it makes it again. What is just being made stays: many may have found at once that it was gone. */
  forget(): void {
    if (this.value !== null) this.#made = this.value = null;
  }

  /** What was made has changed, unless it was made again meanwhile. */
  renew(before: T, value: T): void {
    if (this.value !== before) return;
    this.value = value;
    this.#made = Promise.resolve(value);
  }

  async #share(call: Call): Promise<T> {
    for (;;) {
      const isOwn = this.#made === null;
      const made = this.#made ?? this.#begin(call);
      if (!await settledWithin(made, call.deadline - performance.now())) {
        throw new Unavailable("timeout", "What others have begun to open takes too long");
      }
      try {
        return await made;
      } catch (error) {
        // The deadline, or the connection, of whoever began it.
        const isOthers = error instanceof Unavailable && (error.reason === "timeout" || error.reason === "lost");
        if (isOwn || !isOthers || call.session.signal.aborted || performance.now() >= call.deadline) throw error;
      }
    }
  }

  #begin(call: Call): Promise<T> {
    const made: Promise<T> = this.#make(call).then((value) => {
      if (this.#made === made) this.value = value;
      return value;
    }, (error) => {
      if (this.#made === made) this.#made = null;
      throw error;
    });
    return this.#made = made;
  }
}
