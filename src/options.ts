/**
 * Options of public functions: unknown ones are refused, and `null` counts as not given.
 * @module
 */
import { hasProperties, wrongType } from "./checks.ts";
import { shownName } from "./shown.ts";

/**
 * The names of all options of a type; the compiler refuses a list that lacks one, or has one too many. `true`: `null` counts as not given.
 * `"null"`: `null` is a value of its own.
 */
export type OptionNames<O> = { readonly [name in keyof Required<O>]: true | "null" };

const NONE: Readonly<Record<string, unknown>> = Object.freeze({});

/**
 * Checks that all options are known; called once where they come in. Options that are `undefined` count as not given, known or not, and so do those
 * that are `null`, unless it is a value of its own.
 *
 * @param options What the caller gave; `null` and `undefined`: none.
 * @param known All options that there are.
 * @param doing Completes "Cannot …", for instance "publish the job".
 * @param what What `options` is, for messages.
 * @returns The options that were given, without those that are `null`.
 * @throws {TypeError} If it is no object, or an option is unknown; the message names the nearest known one.
 */
export function checkOptions<O extends object>(
  options: O | null | undefined,
  known: OptionNames<NoInfer<O>>,
  doing: string,
  what: string = "its options",
): O {
  if (options === undefined || options === null) return NONE as O;
  if (!hasProperties(options)) throw wrongType(`${doing} as ${what} must be an object`, options);
  let hasNull = false;
  for (const name in options) {
    if (Object.hasOwn(known, name)) hasNull ||= options[name] === null && known[name] === true;
    else if (Object.hasOwn(options, name) && (options[name] ?? null) !== null) throw unknownOption(name, known, doing);
  }
  return hasNull ? withoutNulls(options, known) : options;
}

function withoutNulls<O extends object>(options: O, known: OptionNames<O>): O {
  const given: Partial<O> = {};
  for (const name in known) {
    if (options[name] !== undefined && (options[name] !== null || known[name] === "null")) given[name] = options[name];
  }
  return given as O;
}

function unknownOption(name: string, known: object, doing: string): TypeError {
  const names = Object.keys(known);
  const nearest = nearestName(name, names);
  const advice = nearest === undefined
    ? `the options are ${names.map((name) => `'${name}'`).join(", ")}`
    : `did you mean '${nearest}'?`;
  return new TypeError(`Cannot ${doing} as there is no option '${shownName(name)}': ${advice}`);
}

/** The known name that shares its words with a name (`attempts`, `maxAttempts`), or differs from it by a few letters. */
function nearestName(name: string, known: string[]): string | undefined {
  const words = wordsOf(name);
  let nearest: string | undefined;
  let least = Infinity;
  for (const other of known) {
    const others = wordsOf(other);
    const shared = words.filter((word) => others.includes(word)).length;
    const distance = shared === Math.min(words.length, others.length)
      ? 0.5 + Math.abs(words.length - others.length) / 10
      : editDistance(words.join(""), others.join(""));
    if (distance <= Math.max(1, other.length / 3) && distance < least) [nearest, least] = [other, distance];
  }
  return nearest;
}

/** `maxAttempts`, `max_attempts` and `MaxAttempt` are the same words. */
function wordsOf(name: string): string[] {
  const words = name.slice(0, 40).replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase().split(/[^a-z0-9]+/);
  return words.map((word) => word.replace(/(?<=..)s$/, "")).filter((word) => word !== "");
}

/** Letters to add, remove, replace or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2] + 1 : Infinity;
      row.push(Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + Number(a[i - 1] !== b[j - 1]), swapped));
    }
    [before, last] = [last, row];
  }
  return last[b.length];
}
