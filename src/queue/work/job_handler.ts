import { callHandler } from "./handler_scope.ts";
import type { Job } from "./job.ts";

/** What runs the jobs of a worker: a user's handler, for each job or for batches of them. */
export interface JobHandler<T> {
  /** Resolves when the job begins, and only then its time runs; `false`: it is not to run here. Without it, a job begins at once. */
  begin?(job: Job<T>): Promise<boolean>;
  /** Runs a job that has begun. */
  run(job: Job<T>): unknown;
  /** Begins no more jobs. */
  stop?(): void;
}

/** Runs a user's handler for each job. */
export class EachJobHandler<T> implements JobHandler<T> {
  readonly #handler: (job: Job<T>) => unknown;

  constructor(handler: (job: Job<T>) => unknown) {
    this.#handler = handler;
  }

  run(job: Job<T>): unknown {
    return callHandler(this.#handler, job, [job]);
  }
}
