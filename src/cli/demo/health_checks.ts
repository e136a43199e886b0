import type { JetStreamStores, Job, JobConsumer, JobQueue } from "../../../mod.ts";
import { sleep } from "../sleep.ts";
import { type CheckResult, checkUrl } from "./check_url.ts";

/** What {@linkcode HealthChecks} goes by. */
export interface HealthCheckOptions {
  urls: readonly string[];
  /** Milliseconds that one attempt to fetch a URL may take. */
  timeout: number;
  /** URLs that the workers fetch at the same time. */
  concurrency: number;
  /** Ends whatever is going on. */
  signal: AbortSignal;
  /** Whether the states and counters are deleted at the end. */
  forgets: boolean;
  /** Called at each step of a check. */
  onStep: (step: Step) => void;
}

/** A step of one check. */
export type Step =
  | { url: string; phase: "queued" | "fetching" | "failed once" }
  | { url: string; phase: "done"; result: CheckResult };

/** How often a URL was checked, and was up: the JSON that is kept under `demo.count.<url>`. */
export interface Counters {
  checks: number;
  up: number;
}

/** What is known of one URL after a round. */
export interface CheckedUrl {
  url: string;
  /** The result: as it was loaded back or, if it could not be stored, as it was found. */
  result: CheckResult;
  /** Whether `result` was stored and loaded back. */
  stored: boolean;
  /** The last state as it was loaded back, or `null`. */
  lastState: string | null;
  /** The counters as they were loaded back, or `null`. */
  counters: Counters | null;
}

/** Attempts of one check: a service counts as down when the second one fails, too. */
const MAX_ATTEMPTS = 2;
/** Milliseconds between them. */
const RETRY_DELAY_MS = 250;
/** Milliseconds that the queue may take on top of the checks. */
const QUEUE_TIMEOUT_MS = 5_000;

const STATE = "demo.state.";
const COUNT = "demo.count.";

/**
 * The main job: one job for each URL into the queue, workers that fetch and store, then everything loaded back. Without a connection the
 * checks are done all the same, only nothing is stored.
 */
export class HealthChecks implements AsyncDisposable {
  readonly #stores: JetStreamStores;
  readonly #options: HealthCheckOptions;
  readonly #queue: JobQueue<{ url: string }>;
  readonly #consumer: JobConsumer<{ url: string }>;
  /** The results that this round waits for. */
  readonly #awaited: Map<string, PromiseWithResolvers<CheckResult>> = new Map();
  readonly #fetching: Set<string> = new Set();
  readonly #totals = { queued: 0, retried: 0, stored: 0 };

  constructor(stores: JetStreamStores, queue: string, options: HealthCheckOptions) {
    this.#stores = stores;
    this.#options = options;
    this.#queue = stores.jobQueue(queue);
    this.#consumer = this.#queue.consume((job) => this.#work(job), {
      concurrency: options.concurrency,
      maxAttempts: MAX_ATTEMPTS,
      backoff: RETRY_DELAY_MS,
    });
  }

  /** How many jobs were queued and tried again, and results stored, since the beginning. */
  get totals(): { queued: number; retried: number; stored: number } {
    return { ...this.#totals };
  }

  /**
   * Checks every URL once.
   *
   * @returns What was found; `null` if it was interrupted.
   * @throws {JetStreamStoreError} If the server refuses for good.
   */
  async round(): Promise<CheckedUrl[] | null> {
    const { signal } = this.#options;
    try {
      const results = await this.#checkAll();
      return signal.aborted ? null : await this.#loadBack(results);
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }

  /** Stops the workers, and removes the queue. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { urls, forgets } = this.#options;
    await this.#consumer.stop({ deadline: 0 });
    if (this.#stores.connectionStatus() !== "connected") return;
    await this.#queue.destroy();
    if (!forgets) return;
    await Promise.all(urls.flatMap((url) => [STATE + url, COUNT + url].map((key) => this.#stores.deleteKV(key))));
  }

  async #checkAll(): Promise<CheckResult[]> {
    const { urls, onStep } = this.#options;
    for (const url of urls) {
      this.#awaited.set(url, Promise.withResolvers());
      onStep({ url, phase: "queued" });
    }
    // The URL is the job's id, so it is never in the queue twice.
    const receipts = await this.#queue.publishMany(urls.map((url) => ({ data: { url }, id: url })));
    // A duplicate was published before a disconnect: its result belongs to an earlier round.
    const queued = urls.map((_, i) => receipts?.[i]?.duplicate === false);
    this.#totals.queued += queued.filter(Boolean).length;
    return await Promise.all(urls.map((url, i) => this.#result(url, queued[i])));
  }

  /** A worker's part: one attempt. */
  async #work(job: Job<{ url: string }>): Promise<void> {
    const { url } = job.data;
    const result = await this.#fetch(url, job.attempt, AbortSignal.any([job.signal, this.#options.signal]));
    if (result.state === "up" || job.attempt >= job.maxAttempts) return await this.#store(result);
    this.#totals.retried++;
    this.#options.onStep({ url, phase: "failed once" });
    // So the queue runs the job again, after the pause.
    throw new Error(result.error ?? `status ${result.status}`);
  }

  /** Waits for the workers' result; where there is no queue, does their work here and now. */
  async #result(url: string, queued: boolean): Promise<CheckResult> {
    const { urls, timeout, concurrency, signal } = this.#options;
    const result = this.#awaited.get(url)!.promise;
    const settled = new AbortController();
    const settle = () => settled.abort();
    result.then(settle, settle);
    const wake = AbortSignal.any([settled.signal, signal]);
    const loads = Math.ceil(urls.length / concurrency);
    const deadline = performance.now() + QUEUE_TIMEOUT_MS + loads * MAX_ATTEMPTS * (timeout + RETRY_DELAY_MS);
    while (queued && !wake.aborted) {
      await sleep(100, wake);
      const served = this.#stores.connectionStatus() === "connected" && performance.now() < deadline;
      queued = served || this.#fetching.has(url);
    }
    signal.throwIfAborted();
    if (!settled.signal.aborted) await this.#checkHere(url);
    return await result;
  }

  async #checkHere(url: string): Promise<void> {
    const { signal, onStep } = this.#options;
    let result = await this.#fetch(url, 1, signal);
    for (let attempt = 2; result.state === "down" && attempt <= MAX_ATTEMPTS; attempt++) {
      onStep({ url, phase: "failed once" });
      await sleep(RETRY_DELAY_MS, signal);
      result = await this.#fetch(url, attempt, signal);
    }
    await this.#store(result);
  }

  async #fetch(url: string, attempt: number, signal: AbortSignal): Promise<CheckResult> {
    const { timeout, onStep } = this.#options;
    onStep({ url, phase: "fetching" });
    this.#fetching.add(url);
    try {
      return await checkUrl(url, { timeout, attempt, signal });
    } finally {
      this.#fetching.delete(url);
    }
  }

  /** Stores the result, the state and the counters; none of these without a connection. */
  async #store(result: CheckResult): Promise<void> {
    const { url, state } = result;
    const awaited = this.#awaited.get(url);
    try {
      if (await this.#stores.storeHealthcheck(url, JSON.stringify(result)) !== null) {
        this.#totals.stored++;
        await this.#stores.storeKV(STATE + url, state);
        await this.#count(url, state);
      }
    } catch (error) {
      // A retry would not help: the caller of the round gets the error.
      awaited?.reject(error);
      return;
    }
    this.#options.onStep({ url, phase: "done", result });
    awaited?.resolve(result);
  }

  /** Counts by compare and set, as other processes may count the same URL. */
  async #count(url: string, state: CheckResult["state"]): Promise<void> {
    const kv = this.#stores.kvBucket("supercheck_kv");
    const key = COUNT + url;
    let revision: number | false | null = false;
    while (revision === false) {
      const entry = await kv.get(key);
      const { checks, up } = entry?.json<Counters>() ?? { checks: 0, up: 0 };
      const value = JSON.stringify({ checks: checks + 1, up: up + (state === "up" ? 1 : 0) });
      revision = entry ? await kv.update(key, value, entry.revision) : await kv.create(key, value);
    }
  }

  async #loadBack(results: CheckResult[]): Promise<CheckedUrl[]> {
    const counters = await this.#stores.kvBucket("supercheck_kv").getMany(results.map(({ url }) => COUNT + url));
    if (counters === null) {
      return results.map((result) => ({ url: result.url, result, stored: false, lastState: null, counters: null }));
    }
    return await Promise.all(results.map(async (result): Promise<CheckedUrl> => {
      const { url, checkedAt } = result;
      const json = await this.#stores.loadHealthcheck(url);
      const loaded: CheckResult | null = json === null ? null : JSON.parse(json);
      const stored = loaded !== null && loaded.checkedAt >= checkedAt;
      return {
        url,
        result: stored ? loaded : result,
        stored,
        lastState: (await this.#stores.loadKV(STATE + url))?.val ?? null,
        counters: counters.get(COUNT + url)?.json<Counters>() ?? null,
      };
    }));
  }
}
