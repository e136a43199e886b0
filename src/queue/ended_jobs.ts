import type { Delivery } from "./delivery.ts";
import type { RunEnd } from "./job_consumer_status.ts";

/** This many are remembered, and as many before them. */
const MEMORY = 5_000;

/** Reports of ended runs that are kept. */
const MAX_REPORTS = 1_000;

/** Reports the end of a run, by a delivery of its message. */
export type RunReport = (delivery: Delivery) => Promise<RunEnd>;

/** Jobs whose end this process has reported, or tried to: a redelivery after a lost confirmation is acknowledged and not run, whichever consumer gets it. */
export class EndedJobs {
  /** When the messages of these sequences were stored. */
  #ended: Map<number, string> = new Map();
  #endedBefore: Map<number, string> = new Map();
  /** Firings of delayed jobs whose runs have ended, the oldest first. */
  readonly #firings: Set<string> = new Set();
  /** Of runs that have ended and could not be reported, the oldest first. */
  readonly #reports: Map<string, RunReport> = new Map();

  /** The end of this message is being reported. */
  remember({ sequence, storedAt, firing }: Pick<Delivery, "sequence" | "storedAt" | "firing">): void {
    if (firing !== undefined) this.#rememberFiring(firing);
    this.#ended.set(sequence, storedAt);
    if (this.#ended.size < MEMORY) return;
    this.#endedBefore = this.#ended;
    this.#ended = new Map();
  }

  /** Whether the run of what this firing of a delayed job has made has ended. */
  hasFiring(firing: string): boolean {
    return this.#firings.has(firing);
  }

  #rememberFiring(firing: string): void {
    this.#firings.add(firing);
    if (this.#firings.size <= MEMORY) return;
    for (const oldest of this.#firings) return void this.#firings.delete(oldest);
  }

  /** @param storedAt When it was stored, in nanoseconds, or as many digits of it as are known. */
  has(sequence: number, storedAt: string): boolean {
    return (this.#ended.get(sequence) ?? this.#endedBefore.get(sequence))?.startsWith(storedAt) === true;
  }

  /** The run of this message has ended, and that could not be reported: it is reported by its next delivery, and not run again. */
  keepReport(delivery: Delivery, report: RunReport): void {
    this.#reports.set(keyOf(delivery), report);
    if (this.#reports.size <= MAX_REPORTS) return;
    for (const oldest of this.#reports.keys()) return void this.#reports.delete(oldest);
  }

  /** Takes the report of a run that has ended. */
  takeReport(delivery: Delivery): RunReport | undefined {
    if (this.#reports.size === 0) return undefined;
    const key = keyOf(delivery);
    const report = this.#reports.get(key);
    this.#reports.delete(key);
    return report;
  }
}

function keyOf({ sequence, storedAt }: Delivery): string {
  return `${sequence} ${storedAt}`;
}
