/**
 * The part of `jsr:@std/assert` that the tests use, over `node:assert`: `jsr:` does not resolve everywhere these tests run, and
 * with the same names and signatures one line of `deno.json` swaps in the original.
 * @module
 */
import { AssertionError, deepStrictEqual, notDeepStrictEqual } from "node:assert/strict";

export { AssertionError };

type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

function fail(what: string, msg?: string): never {
  throw new AssertionError({ message: msg ? `${what}: ${msg}` : what, stackStartFn: fail });
}

/** Throws unless `expr` is truthy. */
export function assert(expr: unknown, msg?: string): asserts expr {
  if (!expr) fail("Expected a truthy value", msg);
}

/** Throws when `expr` is truthy. */
export function assertFalse(expr: unknown, msg?: string): asserts expr is false | 0 | "" | null | undefined {
  if (expr) fail("Expected a falsy value", msg);
}

/** Throws unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  deepStrictEqual(actual, expected, msg);
}

/** Throws when both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  notDeepStrictEqual(actual, expected, msg);
}

/** Throws unless both are the same value (`Object.is`). */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (!Object.is(actual, expected)) fail(`Expected ${Deno.inspect(actual)} to be ${Deno.inspect(expected)}`, msg);
}

/** Throws when `actual` is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === null || actual === undefined) fail(`Expected a value, got ${actual}`, msg);
}

/** Throws unless `actual` is an instance of `type`. */
export function assertInstanceOf<T>(
  actual: unknown,
  type: abstract new (...args: never[]) => T,
  msg?: string,
): asserts actual is T {
  if (!(actual instanceof type)) fail(`Expected an instance of ${type.name}, got ${Deno.inspect(actual)}`, msg);
}

/** Throws unless `expected` matches. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) fail(`Expected ${JSON.stringify(actual)} to match ${expected}`, msg);
}

/** Throws unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) {
    fail(`Expected ${JSON.stringify(actual)} to contain ${JSON.stringify(expected)}`, msg);
  }
}

/** Throws unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) fail(`Expected ${actual} > ${expected}`, msg);
}

/** Throws unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) fail(`Expected ${actual} < ${expected}`, msg);
}

function checkError<E extends Error>(error: unknown, type?: ErrorClass<E>, includes?: string, msg?: string): E {
  if (!(error instanceof Error)) fail(`Expected an Error, got ${Deno.inspect(error)}`, msg);
  if (type && !(error instanceof type)) fail(`Expected ${type.name}, got ${Deno.inspect(error)}`, msg);
  if (includes !== undefined) assertStringIncludes(error.message, includes, msg);
  return error as E;
}

/** Throws unless `fn` throws (an error of `type` whose message contains `msgIncludes`); returns the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  type?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E {
  try {
    fn();
  } catch (error) {
    return checkError(error, type, msgIncludes, msg);
  }
  fail("Expected the function to throw", msg);
}

/** Rejects unless `fn` rejects (with an error of `type` whose message contains `msgIncludes`); resolves to the error. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  type?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E> {
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    fail(`Expected a rejection, but the function threw ${Deno.inspect(error)}`, msg);
  }
  try {
    await promise;
  } catch (error) {
    return checkError(error, type, msgIncludes, msg);
  }
  fail("Expected the function to reject", msg);
}
