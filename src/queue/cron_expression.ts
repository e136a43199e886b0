import { Cron } from "croner";
import { wrong } from "../checks.ts";

const FIELDS = ["second", "minute", "hour", "day", "month", "weekday"];

/** What croner takes beyond the server: last days, nearest weekdays, nth weekdays. */
const UNKNOWN_TO_SERVER = /#|\+|\bL|L\b|\dW|W\b/i;

/** Croner takes Sunday as 7, and ranges up to it. The server does not. */
const LATE_SUNDAY = /\b7\b|-SUN\b/i;

/**
 * Checks a cron expression of six fields and its time zone.
 *
 * @returns The expression with single spaces.
 * @throws {RangeError} Naming the field that is wrong.
 */
export function checkCron(cron: string, timeZone: string | undefined, doing: string): string {
  const fields = typeof cron === "string" ? cron.trim().split(/\s+/) : [];
  if (fields.length !== FIELDS.length) {
    throw wrong(RangeError, `${doing} as 'cron' must have six fields (${FIELDS.join(" ")})`, cron);
  }
  checkTimeZone(timeZone, doing);
  for (const [place, field] of fields.entries()) {
    // Each by itself, since croner does not always say which one it means.
    const why = whyWrong(field, FIELDS[place], fields.map((_, other) => other === place ? field : "*").join(" "));
    if (why === null) continue;
    const rule = `the ${FIELDS[place]} of 'cron' must be right, and ${JSON.stringify(field)} is not (${why})`;
    throw wrong(RangeError, `${doing} as ${rule}`, cron);
  }
  const pattern = fields.join(" ");
  if (nextOfCron(pattern, timeZone, Date.now()) !== null) return pattern;
  throw wrong(RangeError, `${doing} as 'cron' must have a next time`, cron);
}

/** When an expression is due after a moment; `null` if never, or if it is another client's that only the server understands. */
export function nextOfCron(pattern: string, timeZone: string | undefined, now: number): Date | null {
  try {
    return new Cron(pattern, { timezone: timeZone ?? "UTC", paused: true }).nextRun(new Date(now));
  } catch {
    return null;
  }
}

function whyWrong(field: string, name: string, alone: string): string | null {
  if (/day$/.test(name) && UNKNOWN_TO_SERVER.test(field)) return "the server does not know L, W, # and +";
  if (name === "weekday" && LATE_SUNDAY.test(field)) return "Sunday is 0, and the first day of a range";
  try {
    new Cron(alone, { paused: true });
    return null;
  } catch (error) {
    // It counts days and months from 0, so the value that it names would mislead.
    const message = error instanceof Error ? error.message : String(error);
    return message.replace(/^CronPattern: /, "").replace(/^Invalid value for .*/, "out of range").replace(/\.$/, "");
  }
}

function checkTimeZone(timeZone: string | undefined, doing: string): void {
  if (timeZone === undefined) return;
  try {
    new Intl.DateTimeFormat("en", { timeZone });
  } catch (cause) {
    const rule = `'timeZone' must be the name of a time zone, such as "Europe/Berlin"`;
    throw wrong(RangeError, `${doing} as ${rule}`, timeZone, { cause });
  }
}
