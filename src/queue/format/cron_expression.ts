import { wrong } from "../../checks.ts";
import { CivilTime } from "./_civil_time.ts";

/** The values that a field allows. */
interface Field {
  readonly values: ReadonlySet<number>;
  /** Whether it allows all of them by `*` or `?`: it then never widens the choice of days. */
  readonly any: boolean;
}

interface FieldRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Names of its values, from `min` on. */
  readonly names?: readonly string[];
}

const RANGES: readonly FieldRange[] = [
  { name: "second", min: 0, max: 59 },
  { name: "minute", min: 0, max: 59 },
  { name: "hour", min: 0, max: 23 },
  { name: "day", min: 1, max: 31 },
  {
    name: "month",
    min: 1,
    max: 12,
    names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
  },
  { name: "weekday", min: 0, max: 6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/** Names of usual expressions. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ["@yearly", "0 0 0 1 1 *"],
  ["@annually", "0 0 0 1 1 *"],
  ["@monthly", "0 0 0 1 * *"],
  ["@weekly", "0 0 0 * * 0"],
  ["@daily", "0 0 0 * * *"],
  ["@midnight", "0 0 0 * * *"],
  ["@hourly", "0 0 * * * *"],
]);

/** Years after which the server stops looking for a matching time. */
const MAX_YEARS = 5;

/**
 * Checks a cron expression and its time zone: six fields with the seconds first, the five fields of crontab, or a name such as `@daily`.
 *
 * @returns The expression with six fields and single spaces, as the server takes it.
 * @throws {RangeError} Naming the field that is wrong.
 */
export function checkCron(cron: string, timeZone: string | undefined, doing: string): string {
  const text = typeof cron === "string" ? cron.trim() : "";
  const fields = (NAMED.get(text) ?? text).split(/\s+/);
  if (fields.length === RANGES.length - 1) fields.unshift("0");
  if (fields.length !== RANGES.length) {
    const names = RANGES.map(({ name }) => name).join(" ");
    const rule = `'cron' must have six fields (${names}), or five without the second, or be a name such as @daily`;
    throw wrong(RangeError, `${doing} as ${rule}`, cron);
  }
  checkTimeZone(timeZone, doing);
  for (const [place, field] of fields.entries()) {
    try {
      parseField(field, RANGES[place]);
    } catch (cause) {
      const { name } = RANGES[place];
      const rule = `the ${name} of 'cron' must be right, and "${field}" is not (${(cause as Error).message})`;
      throw wrong(RangeError, `${doing} as ${rule}`, cron, { cause });
    }
  }
  const pattern = fields.join(" ");
  if (nextOfCron(pattern, timeZone, Date.now()) !== null) return pattern;
  throw wrong(RangeError, `${doing} as 'cron' must have a next time within ${MAX_YEARS} years`, cron);
}

/**
 * When the server fires a cron expression next after a moment; `null` if never.
 *
 * It follows the server's steps literally, since these decide what happens where clocks change: a local time that a day skips is not made up for, one
 * that a day has twice is due twice.
 */
export function nextOfCron(pattern: string, timeZone: string | undefined, now: number): Date | null {
  try {
    const expression = NAMED.get(pattern) ?? pattern;
    const fields = expression.split(" ").map((field, place) => parseField(field, RANGES[place]));
    const civil = new CivilTime(timeZone ?? "UTC");
    return nextMatch(fields, civil, Math.floor(now / 1000) * 1000 + 1000);
  } catch {
    // Another client's, that only the server understands.
    return null;
  }
}

function nextMatch(fields: Field[], civil: CivilTime, earliest: number): Date | null {
  const levels = [...calendarLevels(fields, civil), ...clockLevels(fields, civil)];
  civil.time = earliest;
  const lastYear = civil.year + MAX_YEARS;
  let floored = false;
  const reach = ({ matches, floor, step, wrapped }: Level): boolean => {
    while (!matches()) {
      if (!floored) floor();
      floored = true;
      step();
      if (wrapped()) return false;
    }
    return true;
  };
  while (civil.year <= lastYear) if (levels.every(reach)) return new Date(civil.time);
  return null;
}

interface Level {
  matches(): boolean;
  /** Goes back to the beginning of the unit. */
  floor(): void;
  /** Goes on to the next unit. */
  step(): void;
  /** Whether the next larger unit has changed, so that the larger ones are to be looked at again. */
  wrapped(): boolean;
}

function calendarLevels([, , , day, month, weekday]: Field[], civil: CivilTime): Level[] {
  const dayMatches = () => {
    const matches = [day.values.has(civil.day), weekday.values.has(civil.weekday)];
    return day.any || weekday.any ? matches.every(Boolean) : matches.some(Boolean);
  };
  return [
    {
      matches: () => month.values.has(civil.month),
      floor: () => civil.set({ day: 1, hour: 0, minute: 0, second: 0 }),
      step: () => civil.set({ month: civil.month + 1 }),
      wrapped: () => civil.month === 1,
    },
    {
      matches: dayMatches,
      floor: () => civil.set({ hour: 0, minute: 0, second: 0 }),
      step: () => civil.set({ day: civil.day + 1 }),
      wrapped: () => civil.day === 1,
    },
  ];
}

function clockLevels([second, minute, hour]: Field[], civil: CivilTime): Level[] {
  return [
    {
      matches: () => hour.values.has(civil.hour),
      floor: () => civil.set({ minute: 0, second: 0 }),
      step: () => civil.add(3_600_000),
      wrapped: () => civil.hour === 0,
    },
    {
      matches: () => minute.values.has(civil.minute),
      floor: () => civil.add(-civil.second * 1000),
      step: () => civil.add(60_000),
      wrapped: () => civil.minute === 0,
    },
    {
      matches: () => second.values.has(civil.second),
      floor: () => {},
      step: () => civil.add(1000),
      wrapped: () => civil.second === 0,
    },
  ];
}

/** @throws {RangeError} Saying what is wrong. */
function parseField(text: string, range: FieldRange): Field {
  const values = new Set<number>();
  let any = false;
  for (const part of text.split(",")) {
    const [, from, to, step] = /^(\*|\?|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? [];
    if (from === undefined) throw new RangeError("values are numbers, names, * and ranges such as 1-5 or */2");
    const whole = from === "*" || from === "?";
    if (whole && to !== undefined) throw new RangeError(`${from} is no beginning of a range`);
    const by = Number(step ?? 1);
    if (by === 0) throw new RangeError("a step is at least 1");
    const first = whole ? range.min : valueOf(from, range);
    const last = to !== undefined ? valueOf(to, range) : whole || step !== undefined ? range.max : first;
    if (first > last) throw new RangeError("a range goes from the smaller to the larger value");
    for (let value = first; value <= last; value += by) values.add(value);
    any ||= whole && by === 1;
  }
  return { values, any };
}

function valueOf(text: string, { name, min, max, names }: FieldRange): number {
  const named = names?.indexOf(text.toLowerCase()) ?? -1;
  const value = named >= 0 ? named + min : /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new RangeError(`the ${name} is from ${min} to ${max}${name === "weekday" ? ", Sunday is 0" : ""}`);
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
