import { settledWithin } from "../delay.ts";
import type { Logger } from "../connection/logger.ts";
import { JetStreamStoreError } from "../errors.ts";
import type { JobCounts } from "../queue/manage/job_counts.ts";
import type { JetStreamStores } from "../stores.ts";
import { ask } from "./ask.ts";

/** Milliseconds between two rounds, and how many queues a round counts at most: what is asked of the server stays the same, however many there are. */
const ROUND = { pause: 1_500, queues: 200, together: 8 };

/** Milliseconds that a page waits for figures that are being counted. */
const FIGURES_TIMEOUT_MS = 80;

/** Milliseconds without a round after which a plot begins anew. */
const MAX_GAP_MS = 60_000;

/** Rates that are kept of each queue: an hour of one in 20 seconds. */
const MAX_RATES = 180;
const SAMPLE_TIME_MS = 20_000;

/** What is known of a queue. */
export interface QueueFigures {
  queue: string;
  /** As they were counted last; `null`: not yet. */
  counts: JobCounts | null;
  /** Why the last try to count it failed; `null`: it did not. */
  failure: Error | null;
  /** When it had its turn, by `performance.now()`, whether it could be counted or not. */
  at: number;
  /** When it was counted, by `performance.now()`. */
  countedAt: number;
  /** Jobs that ended within the last moments, a second. */
  rate: number;
  /** The same over the time that a page was open, the oldest first. */
  rates: number[];
  /** Where the present sample began. */
  sample: { at: number; ended: number } | null;
}

/**
 * Keeps figures of all queues while a page is open, so that no page has to count them all: the queues take turns, those that were counted longest ago
 * first. Nothing is requested, and no timer runs, while no page is open.
 */
export class QueueMonitor {
  readonly #stores: JetStreamStores;
  readonly #logger: Logger;
  readonly #figures: Map<string, QueueFigures> = new Map();
  #round: Promise<void> | null = null;
  #listed: Promise<void> = Promise.resolve();
  #lastRound = -Infinity;

  constructor(stores: JetStreamStores, logger: Logger) {
    this.#stores = stores;
    this.#logger = logger;
  }

  /**
   * The figures of all queues, those in trouble first.
   *
   * @throws {JetStreamStoreError} `disconnected`, without a connection.
   */
  async all(): Promise<QueueFigures[]> {
    if (this.#round === null && performance.now() - this.#lastRound > ROUND.pause) this.#begin();
    await this.#listed;
    if (this.#round) await settledWithin(this.#round, FIGURES_TIMEOUT_MS);
    return [...this.#figures.values()].sort((a, b) => trouble(b) - trouble(a) || a.queue.localeCompare(b.queue));
  }

  /**
   * The figures of one queue, counted now; `counts` is `null` if there is none.
   *
   * @throws {Error} Why it cannot be counted.
   */
  async one(queue: string): Promise<QueueFigures> {
    const figures = this.#figures.get(queue) ?? newFigures(queue);
    await this.#count(figures);
    if (figures.failure) throw figures.failure;
    if (figures.counts) this.#figures.set(queue, figures);
    return figures;
  }

  #begin(): void {
    this.#listed = this.#list();
    // What the list fails with is thrown where `#listed` is awaited.
    this.#round = this.#listed.then(() => this.#countSome(), () => {}).finally(() => {
      this.#round = null;
      this.#lastRound = performance.now();
    });
  }

  async #list(): Promise<void> {
    const names = new Set(await Array.fromAsync(this.#stores.jobQueues()));
    for (const name of this.#figures.keys()) if (!names.has(name)) this.#figures.delete(name);
    for (const name of names) if (!this.#figures.has(name)) this.#figures.set(name, newFigures(name));
  }

  async #countSome(): Promise<void> {
    const due = [...this.#figures.values()].sort((a, b) => a.at - b.at).slice(0, ROUND.queues);
    const next = due.values();
    const failedBefore = new Set(due.filter(({ failure }) => failure));
    await Promise.all(Array.from({ length: ROUND.together }, async () => {
      for (const figures of next) await this.#count(figures);
    }));
    // That the connection is lost has its own line.
    const isTold = ({ failure }: QueueFigures) =>
      failure !== null && !(failure instanceof JetStreamStoreError && failure.code === "disconnected");
    const [first, ...more] = due.filter((figures) => isTold(figures) && !failedBefore.has(figures));
    if (!first) return;
    const others = more.length > 0 ? ` (and ${more.length} more queues)` : "";
    this.#logger.warn(`Queue ${first.queue}${others} cannot be counted for the dashboard: ${first.failure!.message}`);
  }

  /** Counts a queue, or notes why it cannot be counted. */
  async #count(figures: QueueFigures): Promise<void> {
    const { counts: before, countedAt: last } = figures;
    let counts: JobCounts | null = null;
    try {
      counts = await ask(this.#stores, () => this.#stores.jobQueue(figures.queue).counts());
      figures.failure = null;
      figures.counts = counts;
    } catch (error) {
      figures.failure = error instanceof Error ? error : new Error(String(error));
    }
    const now = figures.at = performance.now();
    if (!counts) return;
    figures.countedAt = now;
    if (before) figures.rate = Math.max(0, counts.ended - before.ended) / Math.max(now - last, 1) * 1000;
    if (now - last > MAX_GAP_MS) Object.assign(figures, { rates: [], sample: null });
    const { sample } = figures;
    if (sample && now - sample.at < SAMPLE_TIME_MS) return;
    if (sample) figures.rates.push(Math.max(0, counts.ended - sample.ended) / (now - sample.at) * 1000);
    if (figures.rates.length > MAX_RATES) figures.rates.shift();
    figures.sample = { at: now, ended: counts.ended };
  }
}

function newFigures(queue: string): QueueFigures {
  return { queue, counts: null, failure: null, at: -Infinity, countedAt: -Infinity, rate: 0, rates: [], sample: null };
}

/** Jobs of a queue that wait for a worker. */
export function waiting({ ready }: JobCounts): number {
  return ready.high + ready.normal + ready.low + ready.keyed;
}

/** Milliseconds after which a job that waits means trouble. */
const LATE_AFTER_MS = 60_000;

/** Whether the oldest job of a queue waits for too long. */
export function isLate({ oldest, paused }: JobCounts): boolean {
  return paused === null && oldest !== null && oldest > LATE_AFTER_MS;
}

/** How much attention a queue needs. */
function trouble({ counts, failure }: QueueFigures): number {
  if (failure) return 8;
  if (!counts) return 0;
  return (counts.dead > 0 ? 4 : 0) + (isLate(counts) ? 2 : 0) + (counts.paused ? 1 : 0);
}
