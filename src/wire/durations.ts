/** Milliseconds as the server's nanoseconds: it takes no fractions of them. */
export function nanoseconds(ms: number): number {
  return Math.round(ms * 1_000_000);
}

/** The server's nanoseconds as milliseconds. */
export function milliseconds(ns: number | undefined): number {
  return (ns ?? 0) / 1_000_000;
}

/** Milliseconds as whole seconds, rounded up, for what the server takes in seconds only. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
