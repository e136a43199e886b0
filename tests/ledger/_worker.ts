// Runs jobs until it is told to end, and notes each run.
import { JetStreamStores, type Job, RetryJobError, UnrecoverableJobError } from "../../mod.ts";
import { given, told } from "./child_script.ts";
import { LedgerFile, now, type RunEntry } from "./_ledger.ts";
import { outcomeOf, planOf } from "./_plan.ts";

/** What a worker is given. */
export interface WorkerOptions {
  servers: string[];
  queue: string;
  folder: string;
  seed: number;
  concurrency: number;
}

const { servers, queue, folder, seed, concurrency } = given<WorkerOptions>();
using ledger = new LedgerFile<RunEntry>(folder, `worker-${Deno.pid}`);
await using stores = new JetStreamStores({ servers, logger: { info() {}, warn() {}, error: console.error } });
let runs = 0;

async function work(job: Job<{ number: number }>): Promise<void> {
  const run = ++runs;
  const { id, attempt, deliveries, fence } = job;
  const sequence = Math.floor(fence / 1024);
  const note = (what: RunEntry["what"]) =>
    ledger.append({ what, id, at: now(), pid: Deno.pid, run, sequence, deliveries, attempt, fence });
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
  if (outcome === "fail") throw new Error("This attempt fails");
  if (outcome === "refuse") throw new UnrecoverableJobError("No attempt helps");
  throw new RetryJobError({ delay: outcome.later });
}

const consumer = stores.jobQueue<{ number: number }>(queue).consume(work, { concurrency, backoff: [50, 200] });
await told();
await consumer.stop();
