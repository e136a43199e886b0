import { JetStreamStoreError } from "../errors.ts";

/** What `error.type` says where NATS was unavailable, so that a call gave `null`. */
export const UNAVAILABLE = "unavailable";

/** The kind of an error for `error.type`: never its message, which may hold keys and data. */
export function errorType(error: unknown): string {
  try {
    if (error instanceof JetStreamStoreError) return error.code;
    const { name } = error as Error;
    // A name with spaces, or a long one, is free text.
    if (error instanceof Error && typeof name === "string" && /^[A-Za-z_$][\w$]{0,63}$/.test(name)) return name;
  } catch {
    // A thrown value may be of any kind, and throw whatever is asked of it.
  }
  return "_OTHER";
}
