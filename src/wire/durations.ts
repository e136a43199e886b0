/** Milliseconds as the server's nanoseconds: it takes no fractions of them. */
export function nanoseconds(ms: number): number {
  return Math.round(ms * 1_000_000);
}

/** Nanoseconds of a duration in the server's messages, for instance `1m40s`; `undefined` if it is none. */
export function readDuration(text: string): number | undefined {
  const units: Record<string, number> = { h: 3.6e12, m: 6e10, s: 1e9, ms: 1e6, "µs": 1e3, ns: 1 };
  const parts = [...text.matchAll(/([\d.]+)(h|ms|m|s|µs|ns)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) return undefined;
  return Math.round(parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * units[unit], 0));
}

/** The server's nanoseconds as milliseconds. */
export function milliseconds(ns: number | undefined): number {
  return (ns ?? 0) / 1_000_000;
}

/** Milliseconds as whole seconds, rounded up, for what the server takes in seconds only. */
export function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
