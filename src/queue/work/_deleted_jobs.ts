import type { Delivery } from "../delivery/delivery.ts";
import type { HeldJobs } from "../delivery/held_jobs.ts";
import { isStored } from "../store/find_job.ts";
import type { QueueContext } from "../store/queue_context.ts";
import type { WorkerLog } from "../delivery/worker_log.ts";

/** Releases held jobs whose message was deleted. Anybody may say that it was, so the server is asked. */
export class DeletedJobs {
  readonly #queue: QueueContext;
  readonly #held: HeldJobs;
  readonly #log: WorkerLog;
  /** Sequences for which the server is being asked. */
  readonly #asked: Set<number> = new Set();

  constructor(queue: QueueContext, held: HeldJobs, log: WorkerLog) {
    this.#queue = queue;
    this.#held = held;
    this.#log = log;
  }

  /**
   * Releases what was deleted while the server could not say so, of all whose handlers have not ended.
   *
   * @param signal Ends it: the connection is lost again.
   */
  async checkAll(signal: AbortSignal): Promise<void> {
    // One after the other, as all workers of a server that was away ask at once.
    for (const { sequence } of [...this.#held.handling, ...this.#held.waiting.values()]) {
      if (signal.aborted) return;
      await this.check(sequence);
    }
  }

  /** Releases what is held of the message of this sequence if it was deleted. */
  async check(sequence: number): Promise<void> {
    const delivery = this.#held.find(sequence);
    if (!delivery || this.#asked.has(sequence)) return;
    this.#asked.add(sequence);
    try {
      if (await isStored(this.#queue, delivery) === false) this.#releaseAllOf(delivery);
    } catch (error) {
      this.#log.warn(delivery, "may have been cancelled, which cannot be looked up", error);
    } finally {
      this.#asked.delete(sequence);
    }
  }

  /** Of one message a run and a later delivery can be held. */
  #releaseAllOf(deleted: Delivery): void {
    for (const delivery of this.#held.all) {
      if (delivery.isOf(deleted)) {
        this.#held.release(delivery, "The job was cancelled");
      }
    }
  }
}
