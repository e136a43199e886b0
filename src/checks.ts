/**
 * Errors for bad arguments, each in the one sentence of this library: `Cannot <do> as '<option>' must <rule>: current value is <value>`.
 *
 * In all checks `doing` completes "Cannot …", for instance "store the value", and `option` is the argument's name.
 * @module
 */
import { printable, shown, shownName } from "./shown.ts";

/** The longest time that a timer takes: about 24 days. One that is longer would be over at once. */
export const MAX_TIMER = 2 ** 31 - 1;

/** No duration is longer: a hundred years. */
const MAX_DURATION = 100 * 365 * 86_400_000;

/**
 * What to throw for an argument that breaks a rule; the message shows its value.
 *
 * @param problem Completes "Cannot …": `publish the job as 'delay' must be ≥ 0 ms`.
 */
export function wrong<E extends TypeError | RangeError>(
  kind: new (message: string, options?: ErrorOptions) => E,
  problem: string,
  value: unknown,
  options?: ErrorOptions,
): E {
  return new kind(`Cannot ${printable(problem)}: current value is ${shown(value)}`, options);
}

/**
 * What to throw for an argument of the wrong type; the message names the type only, as the value may be large or a secret.
 *
 * @param problem Completes "Cannot …": `consume jobs as 'handler' must be a function`.
 */
export function wrongType(problem: string, value: unknown, options?: ErrorOptions): TypeError {
  const type = value === null ? "null" : value === "" ? "empty" : `of type ${typeof value}`;
  return new TypeError(`Cannot ${printable(problem)}: current value is ${type}`, options);
}

/**
 * Checks a key, an id or a name.
 *
 * @throws {TypeError} If it is no well-formed string, or empty.
 */
export function checkText(value: unknown, doing: string, option: string): asserts value is string {
  if (typeof value !== "string") throw wrongType(`${doing} as '${option}' must be a string`, value);
  if (value === "") throw wrong(TypeError, `${doing} as '${option}' must not be empty`, value);
  if (!value.isWellFormed()) throw wrong(TypeError, `${doing} as '${option}' must be well-formed Unicode`, value);
}

/**
 * Checks an option that is any text.
 *
 * @throws {TypeError} If it is no well-formed string.
 */
export function checkString(value: unknown, doing: string, option: string): asserts value is string {
  const problem = `${doing} as '${option}' must be well-formed text`;
  if (typeof value !== "string") throw wrongType(problem, value);
  if (!value.isWellFormed()) throw wrong(TypeError, problem, value);
}

/**
 * Checks labels.
 *
 * @throws {TypeError} If one is no well-formed string.
 */
export function checkLabels(metadata: Record<string, string> | undefined, doing: string): void {
  if (metadata !== undefined) checkObject(metadata, doing, "metadata");
  for (const [label, value] of Object.entries(metadata ?? {})) {
    checkString(value, doing, `metadata.${shownName(label)}`);
  }
}

/**
 * Checks an option that may be a secret: its value is never shown.
 *
 * @throws {TypeError} If it is no string, or empty.
 */
export function checkSecret(value: unknown, doing: string, option: string): asserts value is string {
  if (typeof value !== "string" || value === "") {
    throw wrongType(`${doing} as '${option}' must be a non-empty string`, value);
  }
}

/**
 * Checks an option that counts.
 *
 * @throws {RangeError} If it is no whole number, or out of its range.
 */
export function checkWhole(
  value: unknown,
  doing: string,
  option: string,
  min: number,
  max?: number,
): asserts value is number {
  if (Number.isSafeInteger(value) && value as number >= min && value as number <= (max ?? Infinity)) return;
  const range = max === undefined ? `≥ ${min}` : `from ${min} to ${max}`;
  throw wrong(RangeError, `${doing} as '${option}' must be a whole number ${range}`, value);
}

/**
 * Checks an option that is a duration in milliseconds.
 *
 * @param max {@linkcode MAX_TIMER} where a timer is to wait for so long.
 * @throws {RangeError} If it is no number from `min` to `max`.
 */
export function checkDuration(
  value: unknown,
  doing: string,
  option: string,
  min: number,
  max: number = MAX_DURATION,
): asserts value is number {
  if (typeof value === "number" && value >= min && value <= max) return;
  const rule = typeof value === "number" && value > max ? `≤ ${max} ms` : `≥ ${min} ms`;
  throw wrong(RangeError, `${doing} as '${option}' must be ${rule}`, value);
}

/**
 * Checks a choice.
 *
 * @throws {RangeError} If it is none of those allowed.
 */
export function checkOneOf<V>(
  value: unknown,
  doing: string,
  option: string,
  allowed: readonly V[],
): asserts value is V {
  if (allowed.includes(value as V)) return;
  throw wrong(RangeError, `${doing} as '${option}' must be one of ${allowed.join(", ")}`, value);
}

/**
 * Checks a moment.
 *
 * @throws {TypeError} If it is no valid `Date`.
 */
export function checkDate(value: unknown, doing: string, option: string): asserts value is Date {
  if (isDate(value) && !Number.isNaN(value.getTime())) return;
  throw wrong(TypeError, `${doing} as '${option}' must be a valid Date`, value);
}

/** Also of another realm; `instanceof` would throw for a revoked proxy. */
function isDate(value: unknown): value is Date {
  try {
    Date.prototype.getTime.call(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * The elements of a list, or of another iterable.
 *
 * @throws {TypeError} If it is none, or a text, whose elements would be its characters.
 */
export function checkIterable<T>(value: Iterable<T>, doing: string, option: string): T[] {
  if (typeof value !== "string" && typeof value?.[Symbol.iterator] === "function") return Array.from(value);
  throw wrongType(`${doing} as '${option}' must be an iterable of strings`, value);
}

/**
 * Checks a handler.
 *
 * @throws {TypeError} If it is no function.
 */
export function checkFunction(value: unknown, doing: string, option: string): void {
  if (typeof value !== "function") throw wrongType(`${doing} as '${option}' must be a function`, value);
}

/**
 * Checks an option that has parts.
 *
 * @throws {TypeError} If it is no object with properties.
 */
export function checkObject(value: unknown, doing: string, option: string): asserts value is object {
  if (!hasProperties(value)) throw wrong(TypeError, `${doing} as '${option}' must be an object`, value);
}

/** Whether a value is an object that is there for its properties: a list, a `Map`, `Headers` or a promise in its place is a mistake. */
export function hasProperties(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  try {
    const prototype = Object.getPrototypeOf(value);
    return prototype === Object.prototype || prototype === null ||
      Object.prototype.toString.call(value) === "[object Object]";
  } catch {
    // A revoked proxy.
    return false;
  }
}

/**
 * Checks a switch.
 *
 * @throws {TypeError} If it is neither `true` nor `false`.
 */
export function checkBoolean(value: unknown, doing: string, option: string): asserts value is boolean {
  if (typeof value !== "boolean") throw wrongType(`${doing} as '${option}' must be true or false`, value);
}

/**
 * Checks an option that aborts something.
 *
 * @throws {TypeError} If it is no `AbortSignal`; one of another realm, or a polyfill's, is taken.
 */
export function checkSignal(value: unknown, doing: string, option: string = "signal"): asserts value is AbortSignal {
  if (isInstance(value, AbortSignal) || isSignal(value)) return;
  throw wrongType(`${doing} as '${option}' must be an AbortSignal`, value);
}

function isSignal(value: unknown): boolean {
  try {
    const { aborted, addEventListener, throwIfAborted } = value as Partial<AbortSignal>;
    return typeof aborted === "boolean" && typeof addEventListener === "function" &&
      typeof throwIfAborted === "function";
  } catch {
    return false;
  }
}

/** `instanceof`, without an error for a proxy that was revoked. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}
