import { shownMessage, shownName } from "../shown.ts";

/** Issues that a message tells. */
const MAX_ISSUES = 10;

/** What a {@linkcode JobSchema} finds wrong. */
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

/** The verdict of a {@linkcode JobSchema}: the value as it is to be used, or the issues. */
export interface SchemaResult<T> {
  /** The value, if there are no issues. */
  readonly value?: T;
  /** What is wrong with it, if anything is. */
  readonly issues?: readonly SchemaIssue[];
}

/** Any Standard Schema (https://standardschema.dev), such as those of zod, valibot and arktype: the part that a queue calls. */
export interface JobSchema<T> {
  /** The standard part of the schema. */
  readonly "~standard": {
    /** Checks a value. */
    readonly validate: (value: unknown) => SchemaResult<T> | Promise<SchemaResult<T>>;
  };
}

/**
 * Checks data that is to be stored.
 *
 * @throws {TypeError} Naming the issues, if the schema does not take it.
 */
export async function checkData(schema: JobSchema<unknown>, data: unknown, doing: string): Promise<void> {
  const { issues } = await schema["~standard"].validate(data);
  if (issues) {
    throw new TypeError(`Cannot ${doing} as its data does not fit the queue's schema: ${describeIssues(issues)}`);
  }
}

/** The issues in one line, which is printable and short: a schema may quote the data. */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  return shownMessage(
    issues.slice(0, MAX_ISSUES).map(({ message, path }) => {
      const where = path?.map((step) => String(typeof step === "object" ? step.key : step)).join(".");
      return where ? `${shownName(where)}: ${message}` : message;
    }).join("; "),
  );
}
