import type { Logger } from "../../connection/logger.ts";
import { LimitedLog } from "../../connection/limited_log.ts";
import { inLine } from "../../shown.ts";

/** Milliseconds for which a failure that usually passes is not logged. */
const PASSING_MS = 5_000;

/** Logs once that a queue is not served, and once that it is again. */
export class ServiceLog {
  readonly #logger: Logger;
  readonly #limited: LimitedLog;
  readonly #queue: string;
  /** Since when it fails, by `performance.now()`. */
  #since: number | null = null;

  constructor(logger: Logger, queue: string) {
    this.#logger = logger;
    this.#limited = new LimitedLog(logger);
    this.#queue = queue;
  }

  /** Whether it was logged that the queue is not served. */
  get hasLogged(): boolean {
    return this.#limited.hasReason;
  }

  /**
   * The queue is not served.
   *
   * @param isPassing Whether that usually passes by itself, as a change of leaders does.
   */
  failed(reason: string, isPassing: boolean): void {
    this.#since ??= performance.now();
    if (isPassing && (this.hasLogged || performance.now() - this.#since < PASSING_MS)) return;
    this.#limited.warnNew(reason, `Queue ${this.#queue} is not served (${inLine(reason)}), retrying`);
  }

  /** The queue is served, and has been for a while. */
  served(): void {
    if (this.hasLogged) this.#logger.info(`Queue ${this.#queue} is served again`);
    this.#since = null;
    this.#limited.forget();
  }
}
