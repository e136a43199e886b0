/** The bytes that a `Range` header names: the first one, and the one before which they end. */
export type ByteRange = readonly [start: number, end: number];

/**
 * What a `Range` header requests of so many bytes (RFC 9110, section 14).
 *
 * @returns `null` if it is to be ignored (none, another unit, several ranges, malformed); `"unsatisfiable"` if there is no such byte.
 */
export function parseRange(header: string | null, size: number): ByteRange | "unsatisfiable" | null {
  const match = /^bytes=(\d*)-(\d*)$/i.exec(header?.replaceAll(/[ \t]/g, "") ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return null;
  const [first, last] = [Number(match[1]), Number(match[2])];
  if (match[1] === "") return last === 0 || size === 0 ? "unsatisfiable" : [Math.max(0, size - last), size];
  if (match[2] !== "" && last < first) return null;
  if (first >= size) return "unsatisfiable";
  return [first, match[2] === "" ? size : Math.min(size, last + 1)];
}

/** Whether a list of entity tags (`If-None-Match`) has one, whether it is weak or not. */
export function hasTag(header: string | null, tag: string): boolean {
  if (header === null) return false;
  return header.trim() === "*" || Array.from(header.matchAll(/(?:W\/)?("[^"]*")/g), ([, each]) => each).includes(tag);
}
