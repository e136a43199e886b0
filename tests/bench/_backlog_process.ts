/**
 * The publisher, or the worker, of the backlog: a process of its own, so that its memory is only its own.
 *
 * Arguments: `publish` or `drain`, the server's URL, how many jobs. The report is JSON on standard output.
 * @module
 */
import { collectGarbage } from "./_sampling.ts";
import { confirmed } from "./_store_peer.ts";
import { connectStores } from "./supercheck_peer.ts";

/** What the process does. */
export type BacklogRole = "publish" | "drain";

/** What it reports. */
export interface BacklogReport {
  /** Jobs per second. */
  rate: number;
  /** Bytes of the heap in use, when so large a share of the jobs was done. */
  heap: { share: number; bytes: number }[];
  /** The most bytes that it ever had. */
  rss: number;
}

const QUEUE = "backlog";
const BATCH = 500;
const BATCHES_IN_FLIGHT = 4;
const CONCURRENCY = 100;

/** Looks at the memory while jobs are done. */
class Progress {
  readonly #jobs: number;
  readonly #begin = performance.now();
  readonly #shares = [0.1, 0.25, 0.5, 0.75, 1];
  readonly #heap: BacklogReport["heap"] = [];
  #paused = 0;
  #rss = 0;
  #done = 0;

  constructor(jobs: number) {
    this.#jobs = jobs;
  }

  add(jobs: number): void {
    this.#done += jobs;
    if (this.#done % BATCH === 0) this.#rss = Math.max(this.#rss, Deno.memoryUsage().rss);
    if (this.#done < this.#shares[0] * this.#jobs) return;
    const before = performance.now();
    collectGarbage();
    this.#heap.push({ share: this.#shares.shift()!, bytes: Deno.memoryUsage().heapUsed });
    this.#paused += performance.now() - before;
  }

  report(): BacklogReport {
    const took = performance.now() - this.#begin - this.#paused;
    return { rate: this.#jobs / took * 1000, heap: this.#heap, rss: this.#rss };
  }
}

async function publish(url: string, jobs: number): Promise<BacklogReport> {
  await using stores = await connectStores(url);
  confirmed(await stores.jobQueue(QUEUE).open());
  const progress = new Progress(jobs);
  let next = 0;
  await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, async () => {
    while (next < jobs) {
      const batch = Array.from({ length: Math.min(BATCH, jobs - next) }, () => ({ data: next++ }));
      for (const receipt of confirmed(await stores.publishJobs(QUEUE, batch))) confirmed(receipt);
      progress.add(batch.length);
    }
  }));
  return progress.report();
}

async function drain(url: string, jobs: number): Promise<BacklogReport> {
  await using stores = await connectStores(url);
  const seen = new Uint8Array(jobs);
  const all = Promise.withResolvers<void>();
  let started = 0;
  const progress = new Progress(jobs);
  const consumer = confirmed(
    await stores.consumeJobs<number>(QUEUE, ({ data }) => {
      if (seen[data]++ > 0) all.reject(new Error(`job ${data} ran twice`));
      progress.add(1);
      if (++started === jobs) all.resolve();
    }, { concurrency: CONCURRENCY }),
  );
  await all.promise;
  await consumer.stop();
  const { completed } = consumer.status().ended;
  if (completed !== jobs) throw new Error(`of ${jobs} jobs, ${completed} were confirmed`);
  return progress.report();
}

if (import.meta.main) {
  const [role, url, jobs] = Deno.args;
  const report = await (role === "publish" ? publish : drain)(url, Number(jobs));
  console.log(JSON.stringify(report));
}
