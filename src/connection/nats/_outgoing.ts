import { Buffer } from "node:buffer";

/** Bytes of a block. */
const BLOCK = 65_536;

/** Bytes that a character of a text may take. */
const BYTES_OF_CHARACTER = 3;

const encoder = new TextEncoder();

/**
 * Frames on their way to the server, written one behind the other into blocks of memory that are never written over.
 *
 * It stands in for the NATS client's list of buffers, which costs an allocation for each command and a copy of all at the end.
 */
export class Outgoing {
  #block: Uint8Array = Buffer.alloc(0);
  /** What has been handed out ends here. */
  #start = 0;
  #end = 0;

  /**
   * Adds the parts of a frame: all of them, or none if one cannot be read. Half a frame would make the server read the next one as its rest.
   *
   * @throws {TypeError} If the memory of a part has been transferred (its buffer is detached).
   */
  add(...parts: (string | Uint8Array)[]): void {
    let most = 0;
    for (const part of parts) most += typeof part === "string" ? part.length * BYTES_OF_CHARACTER : part.length;
    if (this.#block.length - this.#end < most) this.#begin(most);
    const begin = this.#end;
    try {
      for (const part of parts) this.#put(part);
    } catch (error) {
      this.#end = begin;
      throw error;
    }
  }

  /** What the NATS client calls to add bytes. */
  fill(...parts: Uint8Array[]): void {
    this.add(...parts);
  }

  /** Takes out all that was added. */
  drain(): Uint8Array {
    const taken = this.#block.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  /** Bytes that were added and not taken out. */
  size(): number {
    return this.#end - this.#start;
  }

  #put(part: string | Uint8Array): void {
    if (typeof part === "string") {
      this.#end += encoder.encodeInto(part, this.#block.subarray(this.#end)).written;
    } else {
      this.#block.set(part, this.#end);
      this.#end += part.length;
    }
  }

  /** A block with room for `size` more bytes; what has not been taken out moves along. */
  #begin(size: number): void {
    const kept = this.drain();
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK, kept.length + size));
    [this.#start, this.#end] = [0, 0];
    this.#put(kept);
  }
}
