/**
 * Checks a value.
 *
 * @throws {TypeError} If it is neither a well-formed string nor bytes.
 */
export function checkValue(value: unknown, doing: string): asserts value is string | Uint8Array {
  if (value instanceof Uint8Array) return;
  if (typeof value !== "string") {
    throw new TypeError(
      `Cannot ${doing} as 'value' must be a string or a Uint8Array: current value is ${
        value === null ? "null" : `of type ${typeof value}`
      }`,
    );
  }
  if (!value.isWellFormed()) {
    throw new TypeError(`Cannot ${doing} as 'value' must be well-formed Unicode: it has a lone surrogate`);
  }
}
