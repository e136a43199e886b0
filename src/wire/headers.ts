import type { MsgHdrs } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";

/**
 * A block of message headers, ready for the wire.
 *
 * The NATS client asks the headers of a message only to encode themselves. Its own class checks and folds each name and value on the way in,
 * which costs more than the rest of a publish; here the names are constants, and values are checked where they enter the library.
 */
export class HeaderBlock {
  readonly #text: string;

  constructor(...lists: readonly (readonly [name: string, value: string])[][]) {
    let text = "NATS/1.0\r\n";
    for (const list of lists) {
      for (const [name, value] of list) text += `${name}: ${value}\r\n`;
    }
    this.#text = text + "\r\n";
  }

  /** Bytes on the wire. */
  get length(): number {
    return Buffer.byteLength(this.#text);
  }

  /** What the NATS client calls. */
  encode(): Uint8Array {
    return Buffer.from(this.#text);
  }

  /** What our own connections send. */
  toString(): string {
    return this.#text;
  }

  /** The block as the NATS client's type. */
  asMsgHdrs(): MsgHdrs {
    return this as unknown as MsgHdrs;
  }
}

/** A header block of a record. */
export function headerBlock(headers: Record<string, string>): HeaderBlock {
  return new HeaderBlock(Object.entries(headers));
}
