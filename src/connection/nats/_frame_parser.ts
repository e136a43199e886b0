import type { MsgArg } from "@nats-io/nats-core/internal";

/** Bytes up to which a message shares memory with others. A larger one has memory of its own, which ends up as the caller's without another copy. */
const SMALL_BYTES = 4_096;

/** Bytes of memory that small messages share: who keeps one of them keeps all of these. */
const SHARED_BYTES = 16_384;

/** Bytes that the first line of a frame may have: those of INFO name all servers of a cluster. */
const MAX_LINE_BYTES = 1_048_576;

/** Bytes that a message may have: `max_payload` is at most 64 MiB, and an answer of a direct get has headers beside that. */
const MAX_MESSAGE_BYTES = 128 * 1_048_576;

/** Words of a line whose places are noted: the line of a message has at most 6, and more are a mistake. */
const MAX_WORDS = 8;

const NOTHING = new Uint8Array(0);
const [TAB, NEWLINE, RETURN, SPACE] = [9, 10, 13, 32];
const LINE_END = [RETURN, NEWLINE];
const [ZERO, MAX_DIGITS] = [48, 15];
const LOWER_CASE = 32;
const [LETTER_G, LETTER_H, LETTER_M, LETTER_S] = [..."ghms"].map((letter) => letter.charCodeAt(0));

/** First bytes of the lines that are not of messages: PING and PONG, INFO, +OK, -ERR. */
const OTHER_LINES = new Set([..."PpIi+-"].map((letter) => letter.charCodeAt(0)));

/** What frames bring. All bytes that are passed on stay as they are. */
export interface FrameEvents {
  /** A small message: its header block and its body, one behind the other. */
  small(line: MsgArg, bytes: Uint8Array): void;
  /** A large message: its header block, and its body in the memory that {@linkcode FrameEvents.place} gave, or in memory that has nothing else. */
  large(line: MsgArg, head: Uint8Array, body: Uint8Array): void;
  /** Any other line, with its end. */
  other(line: Uint8Array): void;
  /** Gives the memory for the body of a large message, exactly as many bytes; `undefined`: new memory. */
  place(line: MsgArg, size: number): Uint8Array | undefined;
}

/** A message that has not arrived whole. */
interface Unfinished {
  line: MsgArg;
  /** `null`: the body begins with it. */
  head: Uint8Array | null;
  body: Uint8Array;
  /** Bytes that have arrived, up to the end of the line behind the body. */
  length: number;
}

/**
 * Reads the frames of a server from blocks of bytes, wherever these are cut. The size of a message is known from its first line, so each byte of a large
 * one is copied once, from the block to where it stays. A block may be written over once it has been read.
 */
export class FrameParser {
  readonly #events: FrameEvents;
  /** The beginning of a line that a block did not end. */
  #begun = NOTHING;
  #unfinished: Unfinished | null = null;
  /** Where the words of the line begin and end that was read last, and how many it has. */
  readonly #words = new Int32Array(2 * MAX_WORDS);
  #count = 0;
  /** Memory that holds the present block from one place on. */
  #shared = NOTHING;
  #sharedFrom = 0;

  constructor(events: FrameEvents) {
    this.#events = events;
  }

  /**
   * Reads a block.
   *
   * @param least Bytes of small messages behind which it may stop.
   * @returns Where it stopped: there begins a frame, or the block ends.
   * @throws {Error} If that is not the NATS protocol; what comes later cannot be read.
   */
  parse({ buffer, byteOffset, length }: Uint8Array, least: number = Infinity): number {
    // The slice() of a Buffer would be a view.
    const block = new Uint8Array(buffer, byteOffset, length);
    [this.#shared, this.#sharedFrom] = [NOTHING, 0];
    let at = 0;
    for (let handled = 0; at < block.length && handled < least;) {
      if (this.#unfinished) {
        at = this.#fill(this.#unfinished, block, at);
        continue;
      }
      const end = this.#begun.length > 0 ? this.#endLine(block) : this.#readLine(block, at);
      // A whole small message has been handled.
      if (end > at && this.#unfinished === null) handled += end - at;
      at = end;
    }
    this.#shared = NOTHING;
    return at;
  }

  /** Reads the line, and if it is all there the message, that begins in a block; returns where that ends. */
  #readLine(block: Uint8Array, at: number): number {
    const end = this.#scan(block, at);
    if (end === 0) return this.#keep(block, at);
    const isHeaded = this.#hasHeaders(block, at);
    if (isHeaded === null) {
      this.#events.other(block.slice(at, end));
      return end;
    }
    const [hdr, size] = this.#sizes(block, isHeaded);
    const behind = end + size + LINE_END.length;
    if (size > SMALL_BYTES || behind > block.length) {
      this.#begin(this.#argument(block.slice(at, end), at, hdr, size));
      return end;
    }
    if (block[behind - 2] !== RETURN || block[behind - 1] !== NEWLINE) throw unended();
    const shared = this.#share(block, at, behind);
    const data = end - this.#sharedFrom;
    this.#events.small(this.#argument(shared, this.#sharedFrom, hdr, size), shared.subarray(data, data + size));
    return behind;
  }

  /** Goes on with a line that began in an earlier block. */
  #endLine(block: Uint8Array): number {
    const newline = block.indexOf(NEWLINE);
    if (newline < 0) return this.#keep(block, 0);
    const line = joined(this.#begun, block.subarray(0, newline + 1));
    this.#begun = NOTHING;
    this.#scan(line, 0);
    const isHeaded = this.#hasHeaders(line, 0);
    if (isHeaded === null) this.#events.other(line);
    else this.#begin(this.#argument(line, 0, ...this.#sizes(line, isHeaded)));
    return newline + 1;
  }

  #keep(block: Uint8Array, at: number): number {
    this.#begun = joined(this.#begun, block.subarray(at));
    if (this.#begun.length > MAX_LINE_BYTES) throw new Error(`a line has more than ${MAX_LINE_BYTES} bytes`);
    return block.length;
  }

  /** Finds the words of a line; returns where it ends, or 0 if it does not. */
  #scan(bytes: Uint8Array, from: number): number {
    const words = this.#words;
    this.#count = 0;
    let start = -1;
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte > SPACE || (byte !== SPACE && byte !== NEWLINE && byte !== RETURN && byte !== TAB)) {
        if (start < 0) start = at;
        continue;
      }
      if (start >= 0) {
        words[2 * this.#count] = start;
        words[2 * this.#count + 1] = at;
        if (this.#count < MAX_WORDS - 1) this.#count++;
        start = -1;
      }
      if (byte === NEWLINE) return at + 1;
    }
    return 0;
  }

  /** Whether the line is that of a message with headers, or without; `null` if it is none of a message. */
  #hasHeaders(bytes: Uint8Array, at: number): boolean | null {
    const first = bytes[at] | LOWER_CASE;
    const isHeaded = first === LETTER_H;
    const name = isHeaded ? at + 1 : at;
    if (
      (bytes[name] | LOWER_CASE) === LETTER_M && (bytes[name + 1] | LOWER_CASE) === LETTER_S &&
      (bytes[name + 2] | LOWER_CASE) === LETTER_G && this.#words[1] === name + 3
    ) return isHeaded;
    if (OTHER_LINES.has(bytes[at])) return null;
    throw new Error("a line has an unknown operation");
  }

  /** Bytes of the header block, -1 if there is none, and of all of the message. */
  #sizes(bytes: Uint8Array, isHeaded: boolean): [hdr: number, size: number] {
    const least = isHeaded ? 5 : 4;
    if (this.#count !== least && this.#count !== least + 1) {
      throw new Error("a message's line has missing or more words");
    }
    const size = this.#number(bytes, this.#count - 1);
    const hdr = isHeaded ? this.#number(bytes, this.#count - 2) : -1;
    if (size > MAX_MESSAGE_BYTES || hdr > size) throw new Error("a message's line has a wrong size");
    return [hdr, size];
  }

  /** What the NATS client makes of the line of a message. */
  #argument(bytes: Uint8Array, shift: number, hdr: number, size: number): MsgArg {
    const words = this.#words;
    const hasReply = this.#count === (hdr < 0 ? 5 : 6);
    return {
      subject: bytes.subarray(words[2] - shift, words[3] - shift),
      sid: this.#number(bytes, 2, shift),
      reply: hasReply ? bytes.subarray(words[6] - shift, words[7] - shift) : undefined,
      hdr,
      size,
    };
  }

  #number(bytes: Uint8Array, word: number, shift = 0): number {
    const [start, end] = [this.#words[2 * word] - shift, this.#words[2 * word + 1] - shift];
    if (end - start > MAX_DIGITS) throw new Error("a message's line has a wrong number");
    let number = 0;
    for (let at = start; at < end; at++) {
      const digit = bytes[at] - ZERO;
      if (digit < 0 || digit > 9) throw new Error("a message's line has a wrong number");
      number = number * 10 + digit;
    }
    return number;
  }

  /** Memory that stays, with a part of the block: {@linkcode #sharedFrom} is where it begins. */
  #share(block: Uint8Array, from: number, to: number): Uint8Array {
    if (to > this.#sharedFrom + this.#shared.length) {
      this.#shared = block.slice(from, Math.max(to, from + SHARED_BYTES));
      this.#sharedFrom = from;
    }
    return this.#shared;
  }

  #begin(line: MsgArg): void {
    const hdr = Math.max(0, line.hdr);
    const size = line.size - hdr;
    if (size <= SMALL_BYTES) {
      this.#unfinished = { line, head: null, body: new Uint8Array(line.size), length: 0 };
      return;
    }
    const place = this.#events.place(line, size);
    const body = place?.length === size ? place : new Uint8Array(size);
    this.#unfinished = { line, head: new Uint8Array(hdr), body, length: 0 };
  }

  /** Copies what a block has of a message; returns where that ends. */
  #fill(message: Unfinished, block: Uint8Array, from: number): number {
    const { line, head, body } = message;
    const headLength = head?.length ?? 0;
    let at = from;
    if (head && message.length < headLength) at = copy(message, head, message.length, block, at);
    if (message.length >= headLength && message.length < line.size) {
      at = copy(message, body, message.length - headLength, block, at);
    }
    for (; at < block.length && message.length >= line.size; at++) {
      if (block[at] !== LINE_END[message.length - line.size]) throw unended();
      if (++message.length < line.size + LINE_END.length) continue;
      this.#unfinished = null;
      if (head) this.#events.large(line, head, body);
      else this.#events.small(line, body);
      return at + 1;
    }
    return at;
  }
}

/** Copies the next bytes of a message to where they stay; returns where they end. */
function copy(message: Unfinished, target: Uint8Array, offset: number, block: Uint8Array, at: number): number {
  const part = block.subarray(at, at + target.length - offset);
  target.set(part, offset);
  message.length += part.length;
  return at + part.length;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

function unended(): Error {
  return new Error("a message is longer than its line says");
}
