import { Buffer } from "node:buffer";

/**
 * The data of a job's body.
 *
 * @throws {SyntaxError} If it is no JSON.
 */
export function readJobData(body: string | Uint8Array): unknown {
  return JSON.parse(
    typeof body === "string" ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"),
  );
}

/** The data of a job's body, or `undefined` if it is no JSON. */
export function parseJobData<T>(body: Uint8Array): T | undefined {
  try {
    return readJobData(body) as T;
  } catch {
    return undefined;
  }
}

/** Whether a value that anybody may have written is a number of things. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}
