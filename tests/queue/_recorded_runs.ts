import type { Job } from "../../mod.ts";
import { waitUntil } from "../_support/wait_until.ts";

/** What a handler has seen of a job. */
export interface RecordedRun {
  id: string;
  data: unknown;
  attempt: number;
  deliveries: number;
  postponed: number;
  fence: number;
  /** Milliseconds, by `performance.now()`. */
  at: number;
}

/** A handler that remembers its runs. */
export class RecordedRuns<T = unknown> {
  readonly all: RecordedRun[] = [];
  /** Runs that have not ended. */
  active = 0;
  /** The most that ran at the same time. */
  mostActive = 0;
  readonly #then: (job: Job<T>) => unknown;

  /** @param then What the handler does after it has remembered the run. */
  constructor(then: (job: Job<T>) => unknown = () => {}) {
    this.#then = then;
  }

  readonly handler = async (job: Job<T>): Promise<unknown> => {
    const { id, data, attempt, deliveries, postponed, fence } = job;
    this.all.push({ id, data, attempt, deliveries, postponed, fence, at: performance.now() });
    this.mostActive = Math.max(this.mostActive, ++this.active);
    try {
      return await this.#then(job);
    } finally {
      this.active--;
    }
  };

  /** Ids in the order of their starts. */
  get ids(): string[] {
    return this.all.map(({ id }) => id);
  }

  /** Waits until so many runs have started. */
  async started(count: number, timeout?: number): Promise<void> {
    await waitUntil(() => this.all.length >= count, timeout);
  }
}
