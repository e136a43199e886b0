/** A peer that keeps values of one kind, texts or bytes, under names. */
export interface StorePeer<T> {
  peer: string;
  /** Stores it; returns when that is confirmed. */
  write(name: string, value: T): Promise<unknown>;
  /** What is stored. */
  read(name: string): Promise<T | null>;
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
