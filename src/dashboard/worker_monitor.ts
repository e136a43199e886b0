import { settledWithin } from "../delay.ts";
import type { WorkerInfo } from "../queue/format/worker_info.ts";
import type { JetStreamStores } from "../stores.ts";
import { ask } from "./ask.ts";

/** Milliseconds for which what workers have answered is shown to all who look. */
const FRESH_MS = 5_000;

/** Milliseconds that a page waits for answers; they take half a second, so the first page of a queue is sent without. */
const ANSWERS_TIMEOUT_MS = 100;

/** Queues whose workers are remembered. */
const MAX_QUEUES = 200;

/** What is known of the workers of a queue. */
export interface SeenWorkers {
  /** `null`: they have not answered yet. */
  workers: readonly WorkerInfo[] | null;
  /** Why they could not be asked. */
  failure: Error | null;
}

/** The asking of one queue. */
interface Asked extends SeenWorkers {
  at: number;
  asking: Promise<void> | null;
}

/** Asks the workers of a queue while its page is open, every five seconds however many are open. */
export class WorkerMonitor {
  readonly #stores: JetStreamStores;
  readonly #asked: Map<string, Asked> = new Map();

  constructor(stores: JetStreamStores) {
    this.#stores = stores;
  }

  /** The workers of a queue, as far as they are known by now. */
  async of(queue: string): Promise<SeenWorkers> {
    const asked = this.#asked.get(queue) ?? { workers: null, failure: null, at: -Infinity, asking: null };
    // Those that were looked at last are behind the others.
    this.#asked.delete(queue);
    this.#asked.set(queue, asked);
    const oldest = this.#asked.keys().next().value;
    if (this.#asked.size > MAX_QUEUES && oldest !== undefined) this.#asked.delete(oldest);
    if (asked.asking === null && performance.now() - asked.at > FRESH_MS) asked.asking = this.#ask(queue, asked);
    if (asked.asking) await settledWithin(asked.asking, ANSWERS_TIMEOUT_MS);
    return asked;
  }

  async #ask(queue: string, asked: Asked): Promise<void> {
    try {
      asked.workers = await ask(this.#stores, () => this.#stores.jobQueue(queue).workers());
      asked.failure = null;
    } catch (error) {
      asked.failure = error instanceof Error ? error : new Error(String(error));
    }
    asked.at = performance.now();
    asked.asking = null;
  }
}
