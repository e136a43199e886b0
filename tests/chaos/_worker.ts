// Runs jobs and ticks until it is told to end, and notes each run and each line of the log.
import { JetStreamStores } from "../../mod.ts";
import { given, told } from "../ledger/child_script.ts";
import { LedgerFile, now, type RunEntry } from "../ledger/ledger_file.ts";
import { type LedgerJob, notedHandler } from "../ledger/noted_handler.ts";
import { notedLogger } from "./_noted_logger.ts";
import type { Folders } from "./_start_members.ts";
import type { StoreNote } from "./store_notes.ts";
import type { TickNote } from "./tick_notes.ts";

/** What a worker is given. */
export interface ChaosWorkerOptions {
  servers: string[];
  queue: string;
  /** The queue of the schedule. */
  ticks: string;
  /** The queue whose stream others delete. */
  scratch: string;
  folders: Folders;
  seed: number;
  concurrency: number;
}

const { servers, queue, ticks, scratch, folders, seed, concurrency } = given<ChaosWorkerOptions>();
const name = `worker-${Deno.pid}`;
using ledger = new LedgerFile<RunEntry>(folders.jobs, name);
using notes = new LedgerFile<StoreNote>(folders.stores, name);
using tickNotes = new LedgerFile<TickNote>(folders.ticks, name);
await using stores = new JetStreamStores({ servers, logger: notedLogger(notes, name) });
const work = notedHandler(ledger, seed);
const consumer = stores.jobQueue<LedgerJob>(queue).consume(work, { concurrency, backoff: [50, 200] });
const ticking = stores.jobQueue(ticks).consume(() => tickNotes.append({ at: now(), pid: Deno.pid }));
const scratching = stores.jobQueue(scratch).consume(() => Deno.pid);
await told();
await Promise.all([consumer.stop(), ticking.stop(), scratching.stop()]);
