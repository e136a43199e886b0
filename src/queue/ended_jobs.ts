/** This many are remembered, and as many before them. */
const MEMORY = 5_000;

/** Jobs whose end this process has reported, or tried to: a redelivery after a lost confirmation is acknowledged and not run, whichever consumer gets it. */
export class EndedJobs {
  /** When the messages of these sequences were stored. */
  #ended: Map<number, string> = new Map();
  #endedBefore: Map<number, string> = new Map();

  /** The end of this message is being reported. */
  remember({ sequence, storedAt }: { sequence: number; storedAt: string }): void {
    this.#ended.set(sequence, storedAt);
    if (this.#ended.size < MEMORY) return;
    this.#endedBefore = this.#ended;
    this.#ended = new Map();
  }

  /** @param storedAt When it was stored, in nanoseconds, or as many digits of it as are known. */
  has(sequence: number, storedAt: string): boolean {
    return (this.#ended.get(sequence) ?? this.#endedBefore.get(sequence))?.startsWith(storedAt) === true;
  }
}
