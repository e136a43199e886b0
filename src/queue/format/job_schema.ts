import { settledWithin } from "../../delay.ts";
import { messageOf, shownMessage, shownName } from "../../shown.ts";
import { readJobData } from "./job_data.ts";

/** Issues in a message. */
const MAX_ISSUES = 10;

/**
 * What a {@linkcode JobSchema} finds wrong.
 *
 * @category Jobs
 */
export interface SchemaIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where: the keys that lead there. */
  readonly path?: ReadonlyArray<
    PropertyKey | {
      /** One key. */
      readonly key: PropertyKey;
    }
  >;
}

/**
 * The verdict of a {@linkcode JobSchema}: the value as it is to be used, or the issues.
 *
 * @category Jobs
 */
export interface SchemaResult<T> {
  /** The value, if there are no issues. */
  readonly value?: T;
  /** What is wrong with it, if anything is. */
  readonly issues?: readonly SchemaIssue[];
}

/**
 * Any Standard Schema (https://standardschema.dev), such as those of zod, valibot and arktype: the part that a queue calls.
 *
 * @typeParam Out What it makes of a value: what handlers get.
 * @typeParam In What it takes: what is published and stored.
 *
 * @category Jobs
 */
export interface JobSchema<Out, In = unknown> {
  /** The standard part of the schema. */
  readonly "~standard": {
    /** Checks a value. */
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    /** For the compiler only: nothing reads it. */
    readonly types?: {
      /** What the schema takes. */
      readonly input: In;
      /** What it makes of that. */
      readonly output: Out;
    };
  };
}

/**
 * Checks data that is to be stored, as workers will receive it: what JSON changes, such as a `Date`, is refused here and not when it is too late.
 *
 * @param payload The data as JSON.
 * @param timeout Milliseconds that the schema may take.
 * @throws {TypeError} Naming the issues, if the schema does not take it; if the schema fails, or takes too long.
 */
export async function checkData(
  schema: JobSchema<unknown>,
  payload: string | Uint8Array,
  doing: string,
  timeout: number,
): Promise<void> {
  let checked: CheckedData<unknown>;
  try {
    checked = await applySchema(schema, readJobData(payload), timeout);
  } catch (cause) {
    throw new TypeError(`Cannot ${doing} as the queue's schema failed: ${shownMessage(messageOf(cause))}`, { cause });
  }
  if (checked.issues === undefined) return;
  throw new TypeError(`Cannot ${doing} as its data does not fit the queue's schema: ${checked.issues}`);
}

/** What a schema makes of data, or the issues in one line. */
export type CheckedData<T> = { value: T; issues?: undefined } | { issues: string };

/**
 * Applies a schema to data.
 *
 * @param timeout Milliseconds that it may take.
 * @throws {unknown} What the schema throws; an error if it takes too long, or returns no result.
 */
export async function applySchema<T>(schema: JobSchema<T>, data: unknown, timeout: number): Promise<CheckedData<T>> {
  const validation: unknown = schema["~standard"].validate(data);
  const isThenable = typeof (validation as PromiseLike<unknown> | undefined)?.then === "function";
  const result = isThenable ? await settleWithin(Promise.resolve(validation), timeout) : validation;
  if (typeof result !== "object" || result === null) {
    throw new TypeError("'validate' must return an object with 'value' or 'issues'");
  }
  const { issues, value } = result as SchemaResult<T>;
  return issues ? { issues: describeIssues(issues) } : { value: value as T };
}

async function settleWithin<R>(promise: Promise<R>, timeout: number): Promise<R> {
  if (!await settledWithin(promise, timeout)) throw new Error(`'validate' has not settled within ${timeout} ms`);
  return await promise;
}

/** The issues in one line, which is printable and short: a schema may quote the data. */
function describeIssues(issues: readonly SchemaIssue[]): string {
  return shownMessage(
    Array.from(issues).slice(0, MAX_ISSUES).map(({ message, path }) => {
      const where = path?.map((step) => String(typeof step === "object" ? step.key : step)).join(".");
      return where ? `${shownName(where)}: ${message}` : message;
    }).join("; "),
  );
}
