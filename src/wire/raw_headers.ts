import type { Msg } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";

/** Where both versions of the NATS client keep a message's bytes: the headers, then the data. */
interface MessageBytes {
  _rdata?: Uint8Array;
  _msg?: { hdr?: number };
}

/**
 * The header block of a message as text, or `undefined` if the client does not keep it where it is expected (then `headers` has it).
 *
 * The client's own reading of headers checks and folds each name, which costs more than all else that is done with a job.
 */
export function rawHeaders(message: Msg): string | undefined {
  const { _rdata: bytes, _msg } = message as MessageBytes;
  const length = _msg?.hdr;
  if (!(bytes instanceof Uint8Array) || length === undefined) return undefined;
  return length > 0 ? Buffer.from(bytes.buffer, bytes.byteOffset, length).toString() : "";
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
