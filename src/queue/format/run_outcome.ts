/** Which run of its job a run is. */
export interface Admission {
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  /** How often the job was postponed before. */
  readonly postponed: number;
}

/** How a job is put back after a run. */
export interface RunMove extends Admission {
  /** Milliseconds until it is ready. */
  readonly delay: number;
}

/** What becomes of a job after its run: what is reported, by whichever worker and delivery. */
export type RunOutcome =
  | { readonly end: "completed"; readonly admission: Admission; readonly value: unknown }
  | { readonly end: "retried" | "postponed"; readonly move: RunMove; readonly reason: string }
  | { readonly end: "dead"; readonly reason: string; readonly stack: string | undefined; readonly attempts: number };
