import { assertEquals } from "@std/assert";
import { JetStreamStores, type Job, type JobConsumer, type JobQueue } from "../../../mod.ts";
import { TIMEOUT_MS } from "../../_support/open_stores.ts";
import { waitUntil } from "../../_support/wait_until.ts";

/** How a {@linkcode WatchedWorker} is made. */
export interface WatchedWorkerOptions {
  /** Where it connects. */
  url: string | string[];
  /** Where jobs are published, if that is another way to the server. */
  publishTo?: string | string[];
  /**
   * Milliseconds.
   *
   * @default {30_000}
   */
  lease?: number;
  replicas?: number;
  /** What a job does. */
  handler?: (job: Job<unknown>) => unknown;
}

/** Milliseconds after which a worker that is not served has to have noticed. */
export const NOTICED = 9_000;

/** Milliseconds that a job may wait while the worker says that it serves: what was handed out into a silence comes back after its lease. */
const UNSERVED = 9_000;

const QUIET = { info() {}, warn() {}, error: console.error };

/**
 * A worker of the queue `healing` whose runs are known. Whenever its status says that it serves, it is checked that it does: no job may have waited for
 * longer than that takes.
 */
export class WatchedWorker implements AsyncDisposable {
  readonly queue: JobQueue<unknown>;
  readonly consumer: JobConsumer<unknown>;
  readonly #own: JetStreamStores;
  readonly #publishers: JetStreamStores;
  readonly #runs: Map<string, number> = new Map();
  readonly #waiting: Map<string, number> = new Map();
  readonly #lies: Set<string> = new Set();
  readonly #watch: ReturnType<typeof setInterval>;
  #servingSince = Infinity;

  constructor({ url, publishTo = url, lease, replicas, handler = () => {} }: WatchedWorkerOptions) {
    this.#own = new JetStreamStores({ servers: url, connectTimeout: TIMEOUT_MS, logger: QUIET });
    this.#publishers = new JetStreamStores({ servers: publishTo, connectTimeout: TIMEOUT_MS, logger: QUIET });
    const options = { ...(lease !== undefined && { lease }), ...(replicas !== undefined && { replicas }) };
    this.queue = this.#publishers.jobQueue("healing", options);
    this.consumer = this.#own.jobQueue("healing", options).consume((job) => {
      this.#runs.set(job.id, this.runsOf(job.id) + 1);
      this.#waiting.delete(job.id);
      return handler(job);
    }, { concurrency: 4 });
    this.#watch = setInterval(() => this.#look(), 25);
  }

  /** What its status says. */
  get state(): string {
    return this.consumer.status().state;
  }

  /** How often a job was run here. */
  runsOf(id: string): number {
    return this.#runs.get(id) ?? 0;
  }

  /** Publishes a job, as often as it takes. */
  async publish(id: string): Promise<void> {
    await waitUntil(async () => await this.queue.publish(null, { id, requestId: id }) !== null, 30_000);
    if (this.runsOf(id) === 0) this.#waiting.set(id, performance.now());
  }

  /** Waits until its status says, or no longer says, that it serves. */
  async serving(yes: boolean, timeout = NOTICED): Promise<void> {
    await waitUntil(() => (this.state === "serving") === yes, timeout);
  }

  /** Waits until these jobs have run here, and nothing is left in the queue; then each has run once, and the status never lied. */
  async healed(ids: string[], timeout = 25_000): Promise<void> {
    await waitUntil(() => ids.every((id) => this.runsOf(id) > 0), timeout);
    await waitUntil(async () => {
      const counts = await this.queue.counts();
      return counts !== null && counts.active + counts.delayed + counts.ready.normal === 0;
    }, timeout);
    await this.serving(true);
    assertEquals(ids.map((id) => [id, this.runsOf(id)]), ids.map((id) => [id, 1]));
    assertEquals([...this.#lies], []);
  }

  #look(): void {
    if (this.state !== "serving") {
      this.#servingSince = Infinity;
      return;
    }
    this.#servingSince = Math.min(this.#servingSince, performance.now());
    for (const [id, since] of this.#waiting) {
      if (performance.now() - Math.max(since, this.#servingSince) > UNSERVED) {
        this.#lies.add(`"serving", and job ${id} is not served`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#watch);
    await Promise.all([this.#own.close(), this.#publishers.close()]);
  }
}
