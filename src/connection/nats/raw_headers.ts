import type { Msg } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";

/** Where both versions of the NATS client keep a message's bytes: the headers, then the data. */
interface MessageBytes {
  _rdata?: Uint8Array;
  _msg?: { hdr?: number; size?: number; subject?: Uint8Array };
}

const DOT = 46;
const ZERO = 48;
const [RETURN, NEWLINE] = [13, 10];

/** What the names of the server's headers begin with. */
const SERVER_PREFIX = new TextEncoder().encode("Nats-");

/** The number at the end of a message's subject. */
export function trailingNumber(message: Msg): number {
  const { subject } = (message as MessageBytes)._msg ?? {};
  if (!(subject instanceof Uint8Array)) return Number(message.subject.slice(message.subject.lastIndexOf(".") + 1));
  return numberBehindDot(subject);
}

/** The number at the end of a subject. */
export function numberBehindDot(subject: Uint8Array): number {
  let number = 0;
  for (let i = subject.lastIndexOf(DOT) + 1; i < subject.length; i++) number = number * 10 + subject[i] - ZERO;
  return number;
}

/**
 * The header block of a message as text, or `undefined` if the client does not keep it where it is expected (then `headers` has it).
 *
 * The client's own reading of headers checks and folds each name, which costs more than all else that is done with a job, and throws for names that
 * other clients may use.
 */
export function rawHeaders(message: Msg): string | undefined {
  const { _rdata: bytes, _msg } = message as MessageBytes;
  const length = _msg?.hdr;
  if (!(bytes instanceof Uint8Array) || length === undefined) return undefined;
  return length > 0 ? Buffer.from(bytes.buffer, bytes.byteOffset, length).toString() : "";
}

/** Whether the headers of a message, if it has any, are all the server's: found out without a text of them. */
export function hasOnlyServerHeaders(message: Msg): boolean {
  const { _rdata: bytes, _msg } = message as MessageBytes;
  const length = _msg?.hdr;
  if (!(bytes instanceof Uint8Array) || length === undefined) return false;
  for (let at = 1; at < length; at++) {
    if (bytes[at - 1] !== NEWLINE || bytes[at] === RETURN) continue;
    for (let i = 0; i < SERVER_PREFIX.length; i++) if (bytes[at + i] !== SERVER_PREFIX[i]) return false;
  }
  return true;
}

/** The first value of a header, or `undefined`. Names are taken literally, as all NATS clients and the server do. */
export function headerOf(message: Msg, name: string): string | undefined {
  const block = rawHeaders(message);
  if (block === undefined) return message.headers?.get(name) || undefined;
  return valueAt(block, block.indexOf(`\r\n${name}:`), name);
}

/** The last value of a header: the server's, who adds its own behind those of the publisher, who may have used the same name. */
export function lastHeaderOf(message: Msg, name: string): string | undefined {
  const block = rawHeaders(message);
  if (block === undefined) return message.headers?.values(name).at(-1) || undefined;
  return valueAt(block, block.lastIndexOf(`\r\n${name}:`), name);
}

function valueAt(block: string, start: number, name: string): string | undefined {
  if (start === -1) return undefined;
  return block.slice(start + name.length + 3, block.indexOf("\r\n", start + 2)).trim() || undefined;
}

/** Whether a message has data. The client makes a view of them each time that they are asked for. */
function hasBody(message: Msg): boolean {
  const { _rdata: bytes, _msg } = message as MessageBytes;
  const length = _msg?.hdr;
  if (!(bytes instanceof Uint8Array) || length === undefined) return message.data.length > 0;
  return (_msg?.size ?? bytes.length) > Math.max(length, 0);
}

/** What the server says in place of an answer. */
export interface Status {
  /** 0: it is an answer. */
  code: number;
  description: string;
}

const ANSWER: Status = { code: 0, description: "" };

/** The status of a reply; only one without a body can be a status. */
export function statusOf(message: Msg): Status {
  if (hasBody(message)) return ANSWER;
  const block = rawHeaders(message);
  if (block === undefined) {
    const { code = 0, description = "" } = message.headers ?? {};
    return { code, description };
  }
  const line = /^NATS\/1\.0 +(\d{3})(?: +([^\r]*))?\r\n/.exec(block);
  return line ? { code: Number(line[1]), description: line[2] ?? "" } : ANSWER;
}

/** The headers of a block as pairs, in their order. */
export function parseHeaderBlock(block: string): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  // The first line is the version, and the status if there is one.
  for (let start = block.indexOf("\r\n") + 2; start > 1 && start < block.length;) {
    const end = block.indexOf("\r\n", start);
    const colon = block.indexOf(":", start);
    if (end <= start || colon === -1) break;
    if (colon < end) pairs.push([block.slice(start, colon), block.slice(colon + 1, end).trim()]);
    start = end + 2;
  }
  return pairs;
}
