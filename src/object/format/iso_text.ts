let written = { time: NaN, text: "" };

/** A moment as ADR-20 has it. The last one is kept: many objects are stored within a millisecond, and formatting it is a tenth of a put's cost. */
export function isoText(date: Date): string {
  const time = date.getTime();
  if (time !== written.time) written = { time, text: date.toISOString() };
  return written.text;
}
