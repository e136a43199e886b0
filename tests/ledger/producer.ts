// Publishes its share of the jobs, repeats what is not confirmed, cancels some, and notes it all.
import { JetStreamStores, type JobReceipt } from "../../mod.ts";
import { given } from "./child_script.ts";
import { LedgerFile, now, type PublishEntry } from "./ledger_file.ts";
import type { LedgerJob } from "./noted_handler.ts";
import { type Change, isPublish, mayDie, type Plan, planOf } from "./plan.ts";

/** What a producer is given. */
export interface ProducerOptions {
  servers: string[];
  queue: string;
  folder: string;
  seed: number;
  /** Numbers of its jobs: from `first` in steps of `step`, below `end`. */
  first: number;
  step: number;
  end: number;
  /** Milliseconds that it takes its time for. */
  duration: number;
  /**
   * Whether some jobs are large.
   * @default {false}
   */
  large?: boolean;
  /**
   * Whether some jobs keep their results.
   * @default {false}
   */
  keepResults?: boolean;
  /**
   * Whether some delayed jobs are changed, for which the server must be 2.14 or newer.
   * @default {true}
   */
  changes?: boolean;
}

const TOGETHER = 16;

const { servers, queue, folder, seed, first, step, end, duration, ...kinds } = given<ProducerOptions>();
const { large = false, keepResults = false, changes = true } = kinds;
using ledger = new LedgerFile<PublishEntry>(folder, `producer-${first}`);
const logger = { info() {}, warn() {}, error: console.error };
// Impatient, so that there are publishes that nobody confirms.
await using stores = new JetStreamStores({ servers, timeout: 700, logger });
const jobs = stores.jobQueue<LedgerJob>(queue);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** Cancels and changes. */
const cancels: Promise<void>[] = [];

/** A job with all that its publish needs; what its `requestId` names is the same at each try. */
function prepare(number: number) {
  const planned = planOf(seed, number);
  const plan = changes ? planned : { ...planned, change: null };
  const { priority, delay, maxAttempts } = plan;
  const id = `job.${number}`;
  const keepResult = keepResults && number % 5 === 0 ? 60_000 : undefined;
  const options = {
    id,
    priority,
    maxAttempts,
    requestId: `request ${number}`,
    keepResult,
    ...(delay > 0 && { delay }),
  };
  const data: LedgerJob = large && plan.ballast > 0 ? { number, ballast: "x".repeat(plan.ballast) } : { number };
  return { data, plan, id, options };
}

type Prepared = ReturnType<typeof prepare>;

function noteCall({ id, plan }: Prepared): void {
  const at = now();
  // One that is promoted may run at once.
  const due = plan.change && plan.change.how !== "update" ? at : at + plan.delay;
  ledger.append({ what: "publish", id, at, due, mayDie: mayDie(plan), maxAttempts: plan.maxAttempts });
}

function noteResult(job: Prepared, receipt: JobReceipt | null): boolean {
  const { id, plan } = job;
  if (receipt === null) {
    ledger.append({ what: "unconfirmed", id, at: now() });
    return false;
  }
  const { sequence, duplicate } = receipt;
  ledger.append({ what: "receipt", id, at: now(), sequence, duplicate });
  if (plan.cancelAfter !== null) cancels.push(cancel(id, plan));
  if (plan.change) cancels.push(change(job, plan.change));
  return true;
}

async function publish(job: Prepared): Promise<void> {
  for (;; await pause(50)) {
    noteCall(job);
    if (noteResult(job, await jobs.publish(job.data, job.options))) return;
  }
}

async function publishTogether(batch: Prepared[]): Promise<void> {
  for (let left = batch; left.length > 0; await pause(50)) {
    left.forEach(noteCall);
    const receipts = await jobs.publishMany(left.map(({ data, options }) => ({ data, ...options })));
    left = left.filter((job, i) => !noteResult(job, receipts?.[i] ?? null));
    if (left.length === 0) return;
  }
}

async function cancel(id: string, { cancelAfter }: Plan): Promise<void> {
  await pause(cancelAfter!);
  for (;; await pause(50)) {
    ledger.append({ what: "cancel", id, at: now() });
    const result = await jobs.cancel(id);
    ledger.append({ what: "cancelled", id, at: now(), result });
    if (result !== null) return;
  }
}

async function change({ id, data, plan }: Prepared, { how, after }: NonNullable<Plan["change"]>): Promise<void> {
  await pause(after);
  for (;; await pause(50)) {
    const at = now();
    const due = how === "reschedule" || how === "debounce" ? at + plan.delay : 0;
    const result = await changeJob(how, id, data, plan.delay);
    ledger.append({ what: "changed", id, how, due, at, answered: now(), result });
    if (result !== null) return;
  }
}

function changeJob(how: Change, id: string, data: LedgerJob, delay: number): Promise<boolean | null> {
  if (how === "promote") return jobs.promote(id);
  if (isPublish(how)) return replaceJob(how, id, data, delay);
  return how === "reschedule" ? jobs.reschedule(id, { delay }) : jobs.update(id, { ...data, version: 1 });
}

async function replaceJob(how: Change, id: string, data: LedgerJob, delay: number): Promise<boolean | null> {
  const { options } = prepare(data.number);
  const { priority, maxAttempts, keepResult } = options;
  const way = how === "replace" ? { replace: true } as const : { debounce: delay || 1 };
  const receipt = await jobs.publish({ ...data, version: 1 }, { id, priority, maxAttempts, keepResult, ...way });
  return receipt === null ? null : true;
}

const numbers = Array.from({ length: Math.ceil((end - first) / step) }, (_, i) => first + i * step);
const began = now();
for (let i = 0; i < numbers.length; i += TOGETHER) {
  await pause(Math.max(0, began + duration * i / numbers.length - now()));
  const batch = numbers.slice(i, i + TOGETHER).map(prepare);
  await (i / TOGETHER % 4 === 3 ? publishTogether(batch) : Promise.all(batch.map(publish)));
}
await Promise.all(cancels);
