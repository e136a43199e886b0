/**
 * The trace to which a job belongs, as its headers name it (`traceparent` of W3C Trace Context, in whatever case); `undefined` if there is none, or it is
 * malformed.
 */
export function traceIdOf(headers: Readonly<Record<string, string>>): string | undefined {
  const value = Object.entries(headers).find(([name]) => name.toLowerCase() === "traceparent")?.[1] ?? "";
  return /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}/.exec(value)?.[1];
}
