import { checkDate, checkOneOf, checkString, wrong } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";
import type { StoredMessage } from "../../wire/stored_message.ts";
import { kindOf, PRIORITIES, type Priority, priorityOf } from "../format/queue_names.ts";
import { readDeadLetter } from "../store/dead_letters.ts";
import { readJobInfo } from "../store/find_job.ts";

/**
 * Which jobs are meant: those that match all that is given, which is at least one.
 *
 * @example Count first, then act
 * ```ts
 * import { close, jobQueue } from "@supercheck/jetstream";
 *
 * const mails = jobQueue("mails");
 * const filter = { idPrefix: "welcome-", enqueuedBefore: new Date("2026-01-31") };
 * const before = await mails.cancel(filter, { dryRun: true });
 * console.log(before?.matched);
 * await mails.cancel(filter, {
 *   progress: ({ matched, done }) => console.log(`${done} of ${matched}`),
 * });
 * await close();
 * ```
 *
 * @category Jobs
 */
export interface JobFilter {
  /** Their id begins with this. */
  idPrefix?: string;
  /** They were first published before this moment. */
  enqueuedBefore?: Date;
  /** They have this priority; jobs with a key have none. */
  priority?: Priority;
}

/**
 * Which dead letters are meant: those that match all that is given, which is at least one.
 *
 * @category Jobs
 */
export interface DeadLetterFilter extends JobFilter {
  /** Their reason, the last error's message, contains this text. */
  reason?: string;
}

/** Whether many are meant: anything that is no object is an id, which is checked as such. */
export function isFilter<F extends object>(which: string | F): which is F {
  return typeof which === "object" && which !== null;
}

const JOB: OptionNames<JobFilter> = { idPrefix: true, enqueuedBefore: true, priority: true };
const DEAD_LETTER: OptionNames<DeadLetterFilter> = { ...JOB, reason: true };

/**
 * Checks a filter of jobs.
 *
 * @throws {TypeError | RangeError} If it has nothing, something unknown, or a wrong value.
 */
export function checkJobFilter(given: JobFilter, doing: string): JobFilter {
  return checkFilter(
    checkOptions(given, JOB, doing, "the filter"),
    doing,
    "'idPrefix', 'enqueuedBefore' or 'priority'",
  );
}

/**
 * Checks a filter of dead letters.
 *
 * @throws {TypeError | RangeError} If it has nothing, something unknown, or a wrong value.
 */
export function checkDeadLetterFilter(given: DeadLetterFilter, doing: string): DeadLetterFilter {
  const filter = checkOptions(given, DEAD_LETTER, doing, "the filter");
  if (filter.reason !== undefined) checkNotEmpty(filter.reason, doing, "reason");
  return checkFilter(filter, doing, "'reason', 'idPrefix', 'enqueuedBefore' or 'priority'");
}

function checkFilter<F extends JobFilter>(filter: F, doing: string, names: string): F {
  const { idPrefix, enqueuedBefore, priority } = filter;
  if (idPrefix !== undefined) checkNotEmpty(idPrefix, doing, "idPrefix");
  if (enqueuedBefore !== undefined) checkDate(enqueuedBefore, doing, "enqueuedBefore");
  if (priority !== undefined) checkOneOf(priority, doing, "priority", PRIORITIES);
  if (Object.values(filter).every((value) => value === undefined)) {
    throw new TypeError(`Cannot ${doing} as the filter must have at least one of ${names}`);
  }
  return { ...filter };
}

/** An empty text would match all, which is rarely meant. */
function checkNotEmpty(value: unknown, doing: string, option: string): void {
  checkString(value, doing, option);
  if (value === "") throw wrong(TypeError, `${doing} as '${option}' must not be empty`, value);
}

/** Whether the job of a message matches. */
export function matchesJob(message: StoredMessage, filter: JobFilter): boolean {
  const { id, enqueuedAt, priority } = readJobInfo(message, null);
  return matches({ id, enqueuedAt, priority: kindOf(message.subject) === "keyed" ? null : priority }, filter);
}

/** Whether a dead letter matches. */
export function matchesDeadLetter(message: StoredMessage, { reason, ...filter }: DeadLetterFilter): boolean {
  const letter = readDeadLetter(message);
  const priority = message.header("Job-Key") === undefined ? priorityOf(message.header("Job-Priority")) : null;
  return (reason === undefined || letter.reason.includes(reason)) && matches({ ...letter, priority }, filter);
}

function matches(
  job: { id: string; enqueuedAt: Date; priority: Priority | null },
  { idPrefix = "", enqueuedBefore, priority }: JobFilter,
): boolean {
  return job.id.startsWith(idPrefix) && (enqueuedBefore === undefined || job.enqueuedAt < enqueuedBefore) &&
    (priority === undefined || job.priority === priority);
}
