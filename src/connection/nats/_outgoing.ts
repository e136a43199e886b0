import { Buffer } from "node:buffer";

/** Bytes of a block: twice what is gathered before it is sent, as text that does not fit begins the next one. */
const BLOCK = 262_144;

/** Bytes from which on a part of a frame is not copied into a block: for smaller ones a copy costs less than one more part to write. */
const LARGE_BYTES = 32_768;

/** Bytes after which what was added is to be sent at once: copied ones, so that the server has work early, and all, as each write costs its time. */
const FULL = { copied: 131_072, all: 1_048_576 };

const NOTHING = new Uint8Array(0);

const encoder = new TextEncoder();

/**
 * Frames on their way to the server, written one behind the other into blocks of memory that are never written over; large parts stay where they are.
 *
 * It stands in for the NATS client's list of buffers, which costs an allocation for each command and a copy of all at the end. Text is gathered as
 * text, and encoded at once for all frames that are sent together: for each of them alone, that would cost more than all else that is done to send it.
 */
export class Outgoing {
  /** What is in front of the bytes in the block. */
  #before: Uint8Array[] = [];
  #bytesBefore = 0;
  /** How many of these were not copied. */
  #large = 0;
  #block: Uint8Array = Buffer.alloc(0);
  /** What has been handed out, or is in `#before`, ends here. */
  #start = 0;
  #end = 0;
  /** What follows the bytes in the block. */
  #text = "";

  /**
   * Adds the parts of a frame: all of them, or none if one cannot be read. Half a frame would make the server read the next one as its rest. Bytes must
   * not be changed any more.
   *
   * @throws {TypeError} If the memory of a part has been transferred (its buffer is detached).
   */
  add(...parts: (string | Uint8Array)[]): void {
    // Bytes whose memory has been transferred seem to be none.
    for (const part of parts) if (part.length === 0 && typeof part !== "string") NOTHING.set(part);
    for (const part of parts) {
      if (typeof part === "string") this.#text += part;
      else if (part.length < LARGE_BYTES) this.#copy(part);
      else this.#refer(part);
    }
  }

  /** What the NATS client calls to add bytes. */
  fill(...parts: Uint8Array[]): void {
    this.add(...parts);
  }

  /** Takes out all that was added, in parts. */
  drain(): Uint8Array[] {
    this.#encode();
    this.#closeBlock();
    const parts = this.#before;
    [this.#before, this.#bytesBefore, this.#large] = [[], 0, 0];
    return parts;
  }

  /** Bytes that were added and not taken out, a character counted as one. */
  size(): number {
    return this.#bytesBefore + this.#end - this.#start + this.#text.length;
  }

  /** Whether so much was added that it is to be sent at once. */
  isFull(): boolean {
    const size = this.size();
    return size - this.#large >= FULL.copied || size >= FULL.all;
  }

  #refer(bytes: Uint8Array): void {
    this.#encode();
    this.#closeBlock();
    this.#before.push(bytes);
    this.#bytesBefore += bytes.length;
    this.#large += bytes.length;
  }

  #closeBlock(): void {
    if (this.#end === this.#start) return;
    this.#before.push(this.#block.subarray(this.#start, this.#end));
    this.#bytesBefore += this.#end - this.#start;
    this.#start = this.#end;
  }

  #copy(bytes: Uint8Array): void {
    this.#encode();
    this.#reserve(bytes.length);
    this.#block.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #encode(): void {
    if (this.#text === "") return;
    this.#reserve(Buffer.byteLength(this.#text));
    this.#end += encoder.encodeInto(this.#text, this.#block.subarray(this.#end)).written;
    this.#text = "";
  }

  /** Makes room in the block, or begins a new one. */
  #reserve(size: number): void {
    if (this.#block.length - this.#end >= size) return;
    this.#closeBlock();
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK, size));
    [this.#start, this.#end] = [0, 0];
  }
}
