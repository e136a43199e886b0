import type { JobMessage } from "../format/job_message.ts";
import type { RunOutcome } from "../format/run_outcome.ts";

/** This many are remembered, and as many before them. */
const MAX_REMEMBERED_JOBS = 5_000;

/** Outcomes that are kept until they are reported. */
const MAX_OUTCOMES = 1_000;

/** Jobs whose end this process has reported, or tried to: a redelivery after a lost confirmation is acknowledged and not run, whichever consumer gets it. */
export class EndedJobs {
  /** When the messages of these sequences were stored. */
  #ended: Map<number, string> = new Map();
  #endedBefore: Map<number, string> = new Map();
  /** Firings of delayed jobs whose runs have ended, the oldest first. */
  readonly #firings: Set<string> = new Set();
  /** Of runs that have ended and are not reported yet, by the sequence of their message, the oldest first. */
  readonly #outcomes: Map<number, { storedAt: string; outcome: RunOutcome }> = new Map();

  /** The end of this message is being reported. */
  remember({ sequence, storedAt, firings }: Pick<JobMessage, "sequence" | "storedAt" | "firings">): void {
    for (const firing of firings) this.#rememberFiring(firing);
    this.#ended.set(sequence, storedAt);
    if (this.#ended.size < MAX_REMEMBERED_JOBS) return;
    this.#endedBefore = this.#ended;
    this.#ended = new Map();
  }

  /** Whether the run of what this firing of a delayed job has made has ended. */
  hasFiring(firing: string): boolean {
    return this.#firings.has(firing);
  }

  #rememberFiring(firing: string): void {
    this.#firings.add(firing);
    if (this.#firings.size <= MAX_REMEMBERED_JOBS) return;
    for (const oldest of this.#firings) return void this.#firings.delete(oldest);
  }

  /**
   * Whether this process has reported the end of this message, or tried to; or of what the same delayed message had made before: a server that was
   * killed can have it back, and fire it once more.
   */
  hasEnded({ sequence, storedAt, firing }: Pick<JobMessage, "sequence" | "storedAt" | "firing">): boolean {
    return this.has(sequence, storedAt) || (firing !== undefined && this.hasFiring(firing));
  }

  /** @param storedAt When it was stored, in nanoseconds, or as many digits of it as are known. */
  has(sequence: number, storedAt: string): boolean {
    return (this.#ended.get(sequence) ?? this.#endedBefore.get(sequence))?.startsWith(storedAt) === true;
  }

  /** The run of this message has ended: until that is reported, its next delivery reports it in place of another run. */
  keepOutcome({ sequence, storedAt }: Pick<JobMessage, "sequence" | "storedAt">, outcome: RunOutcome): void {
    this.#outcomes.set(sequence, { storedAt, outcome });
    if (this.#outcomes.size <= MAX_OUTCOMES) return;
    for (const oldest of this.#outcomes.keys()) return void this.#outcomes.delete(oldest);
  }

  /** Whether the run of this message has ended without a report. */
  hasOutcome(sequence: number, storedAt: string): boolean {
    return this.#outcomes.size > 0 && this.#outcomes.get(sequence)?.storedAt.startsWith(storedAt) === true;
  }

  /** The outcome of a run that has ended without a report. */
  outcomeOf({ sequence, storedAt }: Pick<JobMessage, "sequence" | "storedAt">): RunOutcome | undefined {
    return this.hasOutcome(sequence, storedAt) ? this.#outcomes.get(sequence)!.outcome : undefined;
  }

  /** The outcome of this message is reported. */
  forgetOutcome({ sequence, storedAt }: Pick<JobMessage, "sequence" | "storedAt">): void {
    if (this.hasOutcome(sequence, storedAt)) this.#outcomes.delete(sequence);
  }
}
