// Runs the jobs of a queue as each of them says, and notes each run, until it is told to end.
import { JetStreamStores, UnrecoverableJobError } from "../../mod.ts";
import { given, told } from "./child_script.ts";

/** What such a worker is given. */
export interface SayerOptions {
  url: string;
  queue: string;
  /** The file that gets a line for each run. */
  file: string;
  /** Milliseconds that its clock is ahead of the machine's. */
  clock?: number;
  /** As {@linkcode ConsumeOptions} has it. */
  maxDeliveries?: number;
  /** Jobs that it publishes itself: their ids, and the milliseconds until they are due. */
  publishes?: [id: string, delay: number][];
}

/**
 * What a job does at its first attempt, its second, …; the last word is that of all further ones. `die`: kills its process. `stop`: at its first
 * delivery stops its process, and fails when that goes on.
 */
export type Say = ("end" | "fail" | "refuse" | "die" | "stop")[];

/** A line of the file. */
export interface SayerRun {
  pid: number;
  id: string;
  attempt: number;
  deliveries: number;
  /** By the machine's clock. */
  at: number;
}

const { url, queue, file, clock = 0, maxDeliveries, publishes = [] } = given<SayerOptions>();
const TrueDate = Date;
globalThis.Date = class extends TrueDate {
  constructor(...values: unknown[]) {
    super(...(values.length === 0 ? [TrueDate.now() + clock] : values) as [number]);
  }
  static override now(): number {
    return TrueDate.now() + clock;
  }
} as DateConstructor;

await using stores = new JetStreamStores({ servers: url, logger: { info() {}, warn() {}, error: console.error } });
const jobs = stores.jobQueue<{ say: Say }>(queue);
await using _consumer = jobs.consume(({ id, attempt, deliveries, data: { say } }) => {
  const run: SayerRun = { pid: Deno.pid, id, attempt, deliveries, at: TrueDate.now() };
  Deno.writeTextFileSync(file, `${JSON.stringify(run)}\n`, { append: true });
  switch (say[Math.min(attempt, say.length) - 1]) {
    case "end":
      return;
    case "fail":
      throw new Error("This attempt fails");
    case "refuse":
      throw new UnrecoverableJobError("No attempt helps");
    case "stop":
      if (deliveries > 1) return;
      Deno.kill(Deno.pid, "SIGSTOP");
      throw new Error("This process was stopped in the middle");
    case "die":
      Deno.kill(Deno.pid, "SIGKILL");
  }
}, { maxDeliveries });
for (const [id, delay] of publishes) await jobs.publish({ say: ["end"] }, { id, delay });
await told();
