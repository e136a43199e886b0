import { type Job, RetryJobError, UnrecoverableJobError } from "../../mod.ts";
import { type LedgerFile, now, type RunEntry } from "./ledger_file.ts";
import { outcomeOf, planOf } from "./plan.ts";

/** Why attempts fail. */
export const FAILS = "This attempt fails";
export const REFUSES = "No attempt helps";

/** What the jobs of a ledger carry. */
export interface LedgerJob {
  number: number;
  ballast?: string;
  /** How often it was updated. */
  version?: number;
}

/** A handler that does with each job what its plan says, and notes each run. */
export function notedHandler(ledger: LedgerFile<RunEntry>, seed: number): (job: Job<LedgerJob>) => Promise<void> {
  let runs = 0;
  return async (job) => {
    const run = ++runs;
    const { id, attempt, deliveries, fence } = job;
    const sequence = Math.floor(fence / 1024);
    const note = (what: RunEntry["what"]) =>
      ledger.append({
        what,
        id,
        at: now(),
        pid: Deno.pid,
        run,
        sequence,
        deliveries,
        attempt,
        fence,
        version: job.data.version,
      });
    const { number } = job.data;
    const outcome = outcomeOf(seed, number, { attempt, sequence, pid: Deno.pid });
    note("start");
    await new Promise((resolve) => setTimeout(resolve, planOf(seed, number).work));
    if (job.signal.aborted) return note("aborted");
    if (outcome === "effect") {
      note("effect");
      await Promise.resolve();
      return note("end");
    }
    note("thrown");
    if (outcome === "fail") throw new Error(FAILS);
    if (outcome === "refuse") throw new UnrecoverableJobError(REFUSES);
    throw new RetryJobError({ delay: outcome.later });
  };
}
