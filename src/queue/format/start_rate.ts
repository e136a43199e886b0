import { checkDuration, checkObject, checkWhole } from "../../checks.ts";
import { checkOptions, type OptionNames } from "../../options.ts";

/**
 * Starts that are allowed within an interval.
 *
 * @category Jobs
 */
export interface StartRate {
  /** Jobs that may start within each interval, from 1 to 10 000. */
  jobs: number;
  /** Milliseconds, from 10 to a day. */
  interval: number;
}

const OPTIONS: OptionNames<StartRate> = { jobs: true, interval: true };

const LIMITS = { jobs: 10_000, minInterval: 10, maxInterval: 86_400_000 };

/** The label of the limit in the metadata of the jobs' stream. */
export const RATE_LABEL = "supercheck-rate";

/**
 * Checks a rate for all workers of a queue.
 *
 * @throws {TypeError | RangeError} Naming what is wrong, its value and the rule.
 */
export function checkStartRate(given: StartRate, doing: string): StartRate {
  checkObject(given, doing, "rate");
  const { jobs, interval } = checkOptions(given, OPTIONS, doing, "the rate");
  checkWhole(jobs, doing, "jobs", 1, LIMITS.jobs);
  checkDuration(interval, doing, "interval", LIMITS.minInterval, LIMITS.maxInterval);
  return { jobs, interval };
}

/** A rate as the metadata has it. */
export function rateText({ jobs, interval }: StartRate): string {
  return `${jobs}/${interval}`;
}

/** The rate that metadata has; `null` if there is none, or it is malformed. */
export function parseRate(metadata: Record<string, string> | undefined): StartRate | null {
  const [, jobs, interval] = /^(\d{1,9})\/(\d{1,9}(?:\.\d+)?)$/.exec(metadata?.[RATE_LABEL] ?? "") ?? [];
  return Number(jobs) >= 1 && Number(interval) >= 1 ? { jobs: Number(jobs), interval: Number(interval) } : null;
}
