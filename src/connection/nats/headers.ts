import type { MsgHdrs } from "@nats-io/nats-core";
import { Buffer } from "node:buffer";

/** Some of the headers of a message: pairs, or a record. */
export type HeaderPart = readonly (readonly [name: string, value: string])[] | Readonly<Record<string, string>>;

/**
 * A block of message headers, ready for the wire.
 *
 * The NATS client asks the headers of a message only to encode themselves. Its own class checks and folds each name and value on the way in,
 * which costs more than the rest of a publish; here the names are constants, and values are checked where they enter the library.
 */
export class HeaderBlock {
  readonly #text: string;

  /** @param parts Pairs or records, in their order. */
  constructor(...parts: readonly HeaderPart[]) {
    let text = "NATS/1.0\r\n";
    for (const part of parts) {
      if (Array.isArray(part)) { for (const [name, value] of part) text += `${name}: ${value}\r\n`; }
      else for (const name in part) text += `${name}: ${(part as Record<string, string>)[name]}\r\n`;
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
