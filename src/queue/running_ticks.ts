/** The schedules of which a tick runs in this process: none runs twice at once here, whichever consumers its queue has. */
export class RunningTicks {
  readonly #tokens: Set<string> = new Set();
  readonly #listeners: Set<() => void> = new Set();

  /** How many there are. */
  get size(): number {
    return this.#tokens.size;
  }

  /** Whether a tick with this subject token runs. */
  has(token: string): boolean {
    return this.#tokens.has(token);
  }

  begin(token: string): void {
    this.#tokens.add(token);
  }

  /** The run has ended: whoever has the next tick can start it. */
  end(token: string): void {
    this.#tokens.delete(token);
    for (const listener of this.#listeners) listener();
  }

  /** Calls back each time that one has ended. Returns what ends this. */
  follow(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
