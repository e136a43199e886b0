import type { StoredMessage } from "./stored_message.ts";

/** Milliseconds of the units that a TTL in a header may have. */
const UNITS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000 };

/** Milliseconds that a message lives by its own header (ADR-43): `Infinity` if it has none, and 0 if it cannot be read. */
export function messageTtl(message: StoredMessage): number {
  const text = message.header("Nats-TTL");
  if (text === undefined || text === "never") return Infinity;
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  if (!/^(\d+[hms])+$/.test(text)) return 0;
  return Array.from(text.matchAll(/(\d+)([hms])/g), ([, count, unit]) => Number(count) * UNITS[unit]).reduce((a, b) =>
    a + b
  );
}
