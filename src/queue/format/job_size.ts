import { Buffer } from "node:buffer";
import type { HeaderList } from "./job_headers.ts";

/** Bytes that a job keeps free for the headers of the guard, of a later retry and of a dead letter; some of them name its subject. */
function reserveOf(subject: string): number {
  return Math.max(1_024, 700 + 5 * subject.length);
}

/** Bytes that a copy which is put back has at most beyond the headers of its job. */
export function copyRoom(subject: string): number {
  return 400 + 2 * subject.length;
}

/**
 * Checks the size of a job, or of a schedule's.
 *
 * @throws {RangeError} If the server would not take it, or not its retries.
 */
export function checkSize(
  job: { subject: string; payload: string | Uint8Array; headers: HeaderList; nonce?: string },
  maxPayload: number,
  doing: string,
): void {
  const { payload, headers, nonce = "" } = job;
  const reserve = reserveOf(job.subject);
  const characters = headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, nonce.length);
  // Bytes need not be counted where there are too few characters for it to matter.
  if (3 * (payload.length + characters) + reserve <= maxPayload) return;
  const bytes = Buffer.byteLength(payload) + bytesOf(headers) + Buffer.byteLength(nonce);
  if (bytes + reserve <= maxPayload) return;
  if (maxPayload <= reserve) {
    throw new RangeError(
      `Cannot ${doing} as the server's max_payload must be > ${reserve} bytes, which the headers of a retry may need: current value is ${maxPayload}. ` +
        "Raise max_payload",
    );
  }
  throw new RangeError(
    `Cannot ${doing} as its data and headers must be ≤ ${
      maxPayload - reserve
    } bytes (the server's max_payload, less ${reserve} for a retry): they have ${bytes}. ` +
      "Keep large data in an object bucket, and publish its name",
  );
}

/** The block's first and last line. */
const HEADER_FRAME_BYTES = 12;

/**
 * As much of the headers as a message has bytes to spare for: of those that must stay whole the first ones first, then of the texts what fits.
 *
 * @param texts Each becomes one line of JSON, since a header has no line breaks.
 */
export function fitHeaders(room: number, whole: HeaderList, texts: HeaderList): HeaderList {
  const fitting: HeaderList = [];
  let left = room - HEADER_FRAME_BYTES;
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

/** Bytes of a job's subject, headers and data. */
export function jobBytes(job: { subject: string; payload: string | Uint8Array; headers: HeaderList }): number {
  return Buffer.byteLength(job.payload) + bytesOf(job.headers) + 2 * job.subject.length;
}

/** Bytes that headers have on the wire. */
export function bytesOf(headers: HeaderList): number {
  return headers.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value) + 4, 0);
}
