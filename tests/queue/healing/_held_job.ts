import type { Job } from "../../../mod.ts";

/** A handler that one job stays with until it is let go. */
export class HeldJob {
  readonly #started = Promise.withResolvers<void>();
  readonly #gate = Promise.withResolvers<void>();
  readonly handler: (job: Job) => Promise<void> | undefined;

  constructor(id: string) {
    this.handler = (job) => {
      if (job.id !== id) return;
      this.#started.resolve();
      return this.#gate.promise;
    };
  }

  /** Settles when the job has come to the handler. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Lets the handler end. */
  letGo(): void {
    this.#gate.resolve();
  }
}
