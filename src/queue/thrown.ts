/** The message of whatever a handler threw. Never throws itself: the end of the run has to be reported. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message || thrown.name : thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}

/** The stack of whatever a handler threw, if it has one. */
export function stackOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && typeof thrown.stack === "string" ? thrown.stack : undefined;
}
