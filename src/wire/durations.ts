/** Milliseconds as the server's nanoseconds. */
export function nanoseconds(ms: number): number {
  return ms * 1_000_000;
}

/** The server's nanoseconds as milliseconds. */
export function milliseconds(ns: number | undefined): number {
  return (ns ?? 0) / 1_000_000;
}

/** Milliseconds as whole seconds, rounded up, for what the server takes in seconds only. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
