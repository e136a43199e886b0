import { shown, shownName } from "../../shown.ts";

/** Where a value does not fit, and what is there. */
interface Unfit {
  path: string;
  /** Completes "current value is …". */
  is: string;
  cause?: unknown;
}

/** Levels of a value that are searched for what does not fit. */
const MAX_DEPTH = 1_000;

/** Keys that a path names after a dot. */
const PLAIN_KEY = /^[A-Za-z_$][\w$]{0,39}$/;

/** Objects whose content JSON keeps. */
const KEPT: ReadonlySet<string> = new Set(["Object", "Array", "Number", "String", "Boolean"]);

/**
 * The JSON text of a value, which {@linkcode JSON.parse} turns into the same data. JSON alone would leave out functions and symbols, and turn `NaN`
 * and the empty places of arrays into `null`, and a `Map` or `Uint8Array` into an object.
 *
 * Properties that are `undefined` are left out. Objects with `toJSON`, such as a valid `Date`, are what that returns; of other class instances their
 * own enumerable properties are kept.
 *
 * @param option The argument's name, for messages.
 * @throws {TypeError} Naming the path of the first part that JSON cannot hold: `'data.items[3]' must be a JSON value`.
 */
export function jsonText(value: unknown, doing: string, option: string): string {
  let cause: unknown;
  try {
    const text: unknown = JSON.stringify(value);
    if (typeof text === "string" && fits(value)) return text;
  } catch (error) {
    cause = error;
  }
  const unfit = findUnfit(value, option, []) ?? { path: option, is: "an object that cannot be read", cause };
  throw new TypeError(
    `Cannot ${doing} as '${shownName(unfit.path)}' must be a JSON value: current value is ${unfit.is}`,
    {
      cause: unfit.cause ?? cause,
    },
  );
}

/** Whether JSON holds all of a value that it can write. */
function fits(value: unknown): boolean {
  if (typeof value !== "object") return describeScalar(value) === undefined;
  if (value === null) return true;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!fits(value[i])) return false;
    return true;
  }
  if (describeObject(value) !== undefined) return false;
  if (hasToJson(value)) return true;
  const object = value as Record<string, unknown>;
  for (const key in object) {
    if (object[key] !== undefined && Object.hasOwn(object, key) && !fits(object[key])) return false;
  }
  return true;
}

/** The first part of a value that JSON cannot hold. */
function findUnfit(value: unknown, path: string, above: readonly unknown[]): Unfit | undefined {
  try {
    if (typeof value !== "object" || value === null) return unfitUnless(describeScalar(value), path);
    if (above.includes(value)) return { path, is: "a circular reference" };
    if (above.length > MAX_DEPTH) return { path, is: "nested too deeply" };
    const is = describeObject(value);
    if (is !== undefined) return { path, is };
    if (hasToJson(value)) return findUnfit(value.toJSON(), path, [...above, value]);
    return Array.isArray(value) ? findInArray(value, path, above) : findInObject(value, path, above);
  } catch (cause) {
    return { path, is: "an object that cannot be read", cause };
  }
}

function findInArray(values: unknown[], path: string, above: readonly unknown[]): Unfit | undefined {
  for (let i = 0; i < values.length; i++) {
    const unfit = findUnfit(values[i], `${path}[${i}]`, [...above, values]);
    if (unfit) return unfit;
  }
}

function findInObject(object: object, path: string, above: readonly unknown[]): Unfit | undefined {
  for (const key of Object.keys(object)) {
    const place = `${path}${pathStep(key)}`;
    let part: unknown;
    try {
      part = (object as Record<string, unknown>)[key];
    } catch (cause) {
      return { path: place, is: "a property that cannot be read", cause };
    }
    const unfit = part === undefined ? undefined : findUnfit(part, place, [...above, object]);
    if (unfit) return unfit;
  }
}

function pathStep(key: string): string {
  return PLAIN_KEY.test(key) ? `.${key}` : `[${shown(key)}]`;
}

function unfitUnless(is: string | undefined, path: string): Unfit | undefined {
  return is === undefined ? undefined : { path, is };
}

function describeScalar(value: unknown): string | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined;
    case "number":
      return Number.isFinite(value) ? undefined : shown(value);
    case "object":
      return undefined;
    default:
      // Some give BigInt.prototype a toJSON.
      return typeof value === "bigint" && hasToJson(value) ? undefined : `of type ${typeof value}`;
  }
}

/** What an object is, if JSON would lose its content. */
function describeObject(value: object): string | undefined {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : undefined;
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || hasToJson(value)) return undefined;
  const name = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return KEPT.has(name) ? undefined : `an object of class ${shown(name).slice(1, -1)}`;
}

function hasToJson(value: unknown): value is { toJSON(): unknown } {
  return typeof (value as { toJSON?: unknown }).toJSON === "function";
}
