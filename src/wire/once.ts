import type { Session } from "./session.ts";

/** Does something on the server once: all who need it share it. It is done again after a failure, and when it is forgotten. */
export class Once<T> {
  readonly #make: (session: Session, deadline: number) => Promise<T>;
  #made: Promise<T> | null = null;
  /** What was made; `null` before it is. */
  value: T | null = null;

  constructor(make: (session: Session, deadline: number) => Promise<T>) {
    this.#make = make;
  }

  /** What was made, or is being made; begins if need be. */
  get(session: Session, deadline: number): Promise<T> {
    return this.#made ?? this.#begin(session, deadline);
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

  #begin(session: Session, deadline: number): Promise<T> {
    const made: Promise<T> = this.#make(session, deadline).then((value) => {
      if (this.#made === made) this.value = value;
      return value;
    }, (error) => {
      if (this.#made === made) this.#made = null;
      throw error;
    });
    return this.#made = made;
  }
}
