import type { Delivery } from "../source/delivery.ts";
import { isStored } from "../store/find_job.ts";
import type { HeldJobs } from "../source/held_jobs.ts";
import type { QueueParts } from "../store/queue_parts.ts";
import type { WorkerLog } from "./_worker_log.ts";

/** Hears of deleted messages, and finds out whether that is so: anybody may say it, and only the server knows. */
export class DeletedJobs {
  readonly #parts: QueueParts;
  readonly #held: HeldJobs;
  readonly #log: WorkerLog;
  readonly #deleted: (delivery: Delivery) => void;
  /** Sequences for which the server is being asked. */
  readonly #asked: Set<number> = new Set();

  /** @param deleted Called with what is held of a message that was deleted. */
  constructor(parts: QueueParts, held: HeldJobs, log: WorkerLog, deleted: (delivery: Delivery) => void) {
    this.#parts = parts;
    this.#held = held;
    this.#log = log;
    this.#deleted = deleted;
  }

  /** Somebody says that the message of this sequence was deleted. */
  async look(sequence: number): Promise<void> {
    const delivery = this.#held.find(sequence);
    if (!delivery || this.#asked.has(sequence)) return;
    this.#asked.add(sequence);
    try {
      if (await isStored(this.#parts, delivery) === false) this.#deleted(delivery);
    } catch (error) {
      this.#log.warn(delivery, "may have been cancelled, which cannot be looked up", error);
    } finally {
      this.#asked.delete(sequence);
    }
  }
}
