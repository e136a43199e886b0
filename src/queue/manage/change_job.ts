import type { QueueStore } from "../store/queue_context.ts";
import type { Call } from "../../wire/call.ts";
import { nuid } from "@nats-io/nats-core";
import { Unavailable } from "../../connection/unavailable.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import type { JobHeaders } from "../format/job_headers.ts";
import { dueTime } from "../format/due_time.ts";
import { replaceJob } from "../publish/replace_job.ts";
import { mayJobBeStored } from "../store/find_job.ts";
import { keptHeaders, readySubject } from "../publish/replaceable_message.ts";
import type { JobCopy, Replacement } from "../publish/store_copy.ts";

/**
 * When a job is to run.
 *
 * @example
 * ```ts
 * import { close, jobQueue } from "@supercheck/jetstream";
 *
 * const mails = jobQueue<{ to: string }>("mails");
 * const options = { id: "welcome-ann", delay: 3_600_000 };
 * await mails.publish({ to: "ann@example.com" }, options);
 * await mails.update("welcome-ann", { to: "ann@example.org" });
 * await mails.reschedule("welcome-ann", { delay: 60_000 });
 * await mails.promote("welcome-ann");
 * await close();
 * ```
 *
 * @category Jobs
 */
export interface RescheduleOptions {
  /** Milliseconds from now on. Either this or `runAt`. */
  delay?: number;
  /** The moment; one that is past: at once. Either this or `delay`. */
  runAt?: Date;
}

const OPTIONS: OptionNames<RescheduleOptions> = { delay: true, runAt: true };

const RESCHEDULE = "reschedule the job";

/**
 * When a job is to run: after so many milliseconds, or at a moment; `undefined`: at once.
 *
 * @throws {TypeError | RangeError} If an option is wrong, or not exactly one is given.
 */
export function checkReschedule(given: RescheduleOptions): number | Date | undefined {
  const { delay, runAt } = checkOptions(given, OPTIONS, RESCHEDULE);
  if (delay === undefined && runAt === undefined) {
    throw new TypeError(`Cannot ${RESCHEDULE} as it must have either 'delay' or 'runAt'`);
  }
  return dueTime(delay, runAt, RESCHEDULE);
}

/** A change of a job that waits or is delayed, over all attempts of one call. Who calls ends it by {@linkcode withdraw} if it gets no answer. */
export class JobChange implements Replacement {
  readonly doing: string;
  readonly nonce: string = nuid.next();
  readonly behindActive = false;
  isAnnounced = false;
  readonly #payload: string | undefined;
  readonly #due: "kept" | number | undefined;
  #readySubject: (present: StoredMessage) => string = ({ subject }) => subject;

  private constructor(doing: string, payload: string | undefined, due: "kept" | number | undefined) {
    this.doing = doing;
    this.#payload = payload;
    this.#due = due;
  }

  /** Other data. */
  static ofData(payload: string): JobChange {
    return new JobChange("update the job", payload, "kept");
  }

  /** Another moment, in milliseconds by the server's clock; `undefined`: now. */
  static ofMoment(due: number | undefined): JobChange {
    return new JobChange(RESCHEDULE, undefined, due);
  }

  /**
   * Makes the change.
   *
   * @returns `false`: there is no such job, or it is active.
   * @throws {Unavailable} If it is unconfirmed.
   */
  async make(call: Call, queue: QueueStore, token: string): Promise<boolean> {
    this.#readySubject = (present) => readySubject(queue, present);
    const result = await replaceJob(call, queue, token, this);
    if (typeof result === "object") return true;
    if (mayJobBeStored(call, queue.names, token)) {
      throw new Unavailable("timeout", "The reply to a change of the job was lost");
    }
    return false;
  }

  copy(present: StoredMessage, headers: JobHeaders, due: number | undefined): JobCopy {
    return {
      ready: this.#readySubject(present),
      payload: this.#payload ?? present.data,
      headers: keptHeaders(present, headers),
      due: this.#due === "kept" ? due : this.#due,
    };
  }
}
