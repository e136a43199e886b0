/**
 * A peer that keeps values of one kind, texts or bytes, under names.
 *
 * Its functions hand on the promises of what is measured: one more `async` in between would cost a tenth of a call.
 */
export interface StorePeer<T, R = unknown> {
  peer: string;
  /** Stores it; `null` if it is not confirmed. */
  write(name: string, value: T): Promise<unknown>;
  /** Reads it. */
  read(name: string): Promise<R>;
  /** The value in what was read. */
  valueOf(found: R): T;
  /** What its reads must be spared so that they can be measured at all. */
  spare?: { inFlight: number; calls: number };
  /** Removes what its reads left behind. */
  tidy?(): Promise<void>;
}

/**
 * Insists on a result.
 *
 * @throws {Error} If it is `null`.
 */
export function confirmed<T>(result: T | null): T {
  if (result === null) throw new Error("it is not confirmed");
  return result;
}
