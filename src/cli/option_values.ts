import { InvalidArgumentError, Option } from "commander";

const UNITS: Record<string, number> = { "": 1, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of an option like `500`, `30s`, `5m`, `2h` or `7d`. */
export function duration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|)$/.exec(text) ?? [];
  if (amount !== undefined && Number(amount) > 0) return Number(amount) * UNITS[unit];
  throw new InvalidArgumentError("It must be a duration > 0: milliseconds, or with a unit as in 30s, 5m, 2h, 7d.");
}

/** An option that takes a duration, and has one as its default. */
export function durationOption(flags: string, description: string, byDefault: string): Option {
  return new Option(`${flags} <duration>`, description).argParser(duration).default(duration(byDefault), byDefault);
}

/** A whole number of at least 1. */
export function wholeNumber(text: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (value >= 1) return value;
  throw new InvalidArgumentError("It must be a whole number from 1.");
}

/** A moment, as RFC 3339 has it. */
export function moment(text: string): Date {
  const date = new Date(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(date.getTime())) return date;
  throw new InvalidArgumentError("It must be a moment like 2030-01-31T18:00:00Z.");
}

/** Adds `name=value` to what was given before. */
export function nameAndValue(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at > 0) return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
  throw new InvalidArgumentError("It must be name=value.");
}
