import { Buffer } from "node:buffer";
import type { HeaderList } from "./job_headers.ts";

/** The block's first and last line. */
const FRAME = 12;

/**
 * As much of the headers as a message has bytes to spare for: of those that must stay whole the first ones first, then of the texts what fits.
 *
 * @param texts Each becomes one line of JSON, since a header has no line breaks.
 */
export function fitHeaders(room: number, whole: HeaderList, texts: HeaderList): HeaderList {
  const fitting: HeaderList = [];
  let left = room - FRAME;
  const add = (header: [string, string]) => {
    const bytes = bytesOf([header]);
    if (bytes > left) return false;
    fitting.push(header);
    left -= bytes;
    return true;
  };
  for (const header of whole) add(header);
  for (const [name, text] of texts) {
    for (let length = text.length; length > 0; length = Math.floor(length * 0.75)) {
      if (add([name, JSON.stringify(text.slice(0, length).toWellFormed())])) break;
    }
  }
  return fitting;
}

/** Bytes that headers have on the wire. */
export function bytesOf(headers: HeaderList): number {
  return headers.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value) + 4, 0);
}
