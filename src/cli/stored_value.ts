import { bytes, fit, oneLine } from "./terminal/text.ts";

/** A value for JSON: as text where it is text, else as base64. */
export function valueJson(value: Uint8Array): { value: string } | { base64: string } {
  const text = asText(value);
  return text === null ? { base64: value.toBase64() } : { value: text };
}

/** A value on one line, for people. */
export function valueExcerpt(value: Uint8Array, columns: number = 80): string {
  // A character that is cut off at the end is none that is wrong.
  const text = asText(value.subarray(0, 8 * columns), { stream: true });
  return text === null ? `(${bytes(value.length)}, no text)` : fit(oneLine(text), columns);
}

function asText(value: Uint8Array, options?: TextDecodeOptions): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value, options);
  } catch {
    // Bytes that are no UTF-8.
    return null;
  }
}
