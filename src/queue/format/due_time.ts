import { checkDate, checkDuration, wrong } from "../../checks.ts";

/** The server counts int64 nanoseconds since 1970: a later moment is one of the past to it. */
const LAST_MOMENT = new Date("2262-04-11T23:47:16.854Z");

/**
 * Checks a moment that is sent to the server.
 *
 * @throws {TypeError | RangeError} If it is no valid date, or too late.
 */
export function checkMoment(value: unknown, doing: string, option: string): asserts value is Date {
  checkDate(value, doing, option);
  if (value <= LAST_MOMENT) return;
  const rule =
    `'${option}' must be at ${LAST_MOMENT.toISOString()} or before, the last moment that the server can count`;
  throw wrong(RangeError, `${doing} as ${rule}`, value.toISOString());
}

/** A moment as the server reads it. One before 1970 is as far past as any, and the server cannot count the earliest. */
export function serverTime(moment: Date): string {
  return new Date(Math.max(0, moment.getTime())).toISOString();
}

/**
 * When a job is to run: after so many milliseconds, or at a moment; `undefined`: at once.
 *
 * @throws {TypeError | RangeError} If an option is wrong, or both are given.
 */
export function dueTime(delay: number | undefined, runAt: Date | undefined, doing: string): number | Date | undefined {
  if (delay !== undefined && runAt !== undefined) {
    throw new TypeError(`Cannot ${doing} as 'delay' and 'runAt' must not come together`);
  }
  if (runAt !== undefined) {
    checkMoment(runAt, doing, "runAt");
    return runAt;
  }
  if (delay === undefined) return undefined;
  checkDuration(delay, doing, "delay", 0);
  return delay === 0 ? undefined : delay;
}
