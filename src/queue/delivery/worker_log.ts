import type { Logger } from "../../connection/logger.ts";
import { LimitedLog } from "../../connection/limited_log.ts";
import { inLine, messageOf } from "../../shown.ts";
import type { Delivery } from "./delivery.ts";
import type { EventDetails, JobEvent } from "../format/job_event.ts";

/** What a worker writes to the log: its end, and of what happens to its jobs the first of a kind within a minute. */
export class WorkerLog {
  readonly #logger: Logger;
  readonly #limited: LimitedLog;
  readonly #queue: string;

  constructor(logger: Logger, queue: string) {
    this.#logger = logger;
    this.#limited = new LimitedLog(logger);
    this.#queue = queue;
  }

  /**
   * Something cannot be done with a job.
   *
   * @param what Completes "Job <id> of queue <queue> …".
   */
  warn({ id }: Delivery, what: string, error: unknown): void {
    this.#limited.warnSome(what, `Job ${inLine(id)} of queue ${this.#queue} ${what}: ${inLine(messageOf(error))}`);
  }

  /** Something happened to a job: writes of those that failed. */
  event(delivery: Delivery, type: JobEvent["type"], { reason }: EventDetails): void {
    if (type === "retried") this.warn(delivery, "failed and will be retried", reason);
    if (type === "dead") this.warn(delivery, "became a dead letter", reason);
  }

  /** The worker has stopped. */
  stopped(cause: string, { givenBack, abandoned }: { givenBack: number; abandoned: string[] }): void {
    this.#limited.stop();
    const left = [
      ...givenBack > 0 ? [`gave back ${givenBack} unstarted jobs`] : [],
      ...abandoned.length > 0 ? [`left ${abandoned.length} running at the deadline`] : [],
    ];
    this.#logger.info([`Worker of queue ${this.#queue} stopped (${cause})`, ...left].join(", "));
  }
}
