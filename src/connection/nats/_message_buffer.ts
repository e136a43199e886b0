import type { Parser } from "@nats-io/nats-core/internal";

/**
 * The bytes of one message that arrives in several frames. Its size is known from its first line, so each byte is copied once, to where it stays; the
 * NATS client's own buffer grows, and copies what it has each time.
 */
class MessageBuffer {
  readonly #bytes: Uint8Array;
  /** Bytes that have arrived. */
  length: number;

  constructor(size: number, beginning: Uint8Array) {
    this.#bytes = new Uint8Array(size);
    this.#bytes.set(beginning);
    this.length = beginning.length;
  }

  write(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  bytes(): Uint8Array {
    return this.#bytes;
  }
}

/** Lets a parser gather the rest of a message in a {@linkcode MessageBuffer}; called after each frame. */
export function gatherMessage(parser: Parser): void {
  const { msgBuf, ma } = parser;
  if (!msgBuf || msgBuf instanceof MessageBuffer || msgBuf.length >= ma.size) return;
  // The parser asks its buffer for nothing else.
  parser.msgBuf = new MessageBuffer(ma.size, msgBuf.bytes({ copy: false })) as unknown as Parser["msgBuf"];
}
