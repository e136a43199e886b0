// Runs jobs until it is told to end, and notes each run.
import { JetStreamStores } from "../../mod.ts";
import { given, told } from "./child_script.ts";
import { LedgerFile, type RunEntry } from "./ledger_file.ts";
import { type LedgerJob, notedHandler } from "./noted_handler.ts";

/** What a worker is given. */
export interface WorkerOptions {
  servers: string[];
  queue: string;
  folder: string;
  seed: number;
  concurrency: number;
  /** Whom it connects as; by default nobody in particular. */
  user?: string;
}

const { servers, queue, folder, seed, concurrency, user } = given<WorkerOptions>();
using ledger = new LedgerFile<RunEntry>(folder, `worker-${Deno.pid}`);
const logger = { info() {}, warn() {}, error: console.error };
await using stores = new JetStreamStores({ servers, logger, ...(user && { user, password: "x" }) });
const work = notedHandler(ledger, seed);
const consumer = stores.jobQueue<LedgerJob>(queue).consume(work, { concurrency, backoff: [50, 200] });
await told();
await consumer.stop();
