/** Thin spaces between groups of three digits: `18 204`. */
export function amount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A rate with as many digits as matter: `0.4`, `12`, `1 204`. */
export function rate(value: number): string {
  return value > 0 && value < 10 ? value.toFixed(1) : amount(value);
}

/** A duration in its largest unit: `0.2 s`, `8 s`, `42 min`, `3 h`, `5 d`. */
export function span(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** A size in its largest unit: `200 B`, `1.4 KiB`, `57 MiB`. */
export function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A moment as all readers take it: `2026-11-29 13:05:09 UTC`. */
export function moment(date: Date): string {
  return Number.isNaN(date.getTime()) ? "unknown" : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `1 job`, `24 jobs`. */
export function counted(value: number, one: string, many: string = `${one}s`): string {
  return `${amount(value)} ${value === 1 ? one : many}`;
}

/** At most so many characters of a text that anybody may have written, on one line. */
export function excerpt(text: string, length: number = 200): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}
