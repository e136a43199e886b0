import { Buffer } from "node:buffer";

/** Bytes of a block. */
const BLOCK = 65_536;

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

  /** Adds a command, which is ASCII, and what belongs to it. */
  add(command: string | Uint8Array, parts: Uint8Array[]): void {
    let size = command.length;
    for (const part of parts) size += part.length;
    if (this.#block.length - this.#end < size) this.#begin(size);
    if (typeof command === "string") {
      encoder.encodeInto(command, this.#block.subarray(this.#end));
      this.#end += command.length;
    } else {
      this.#put(command);
    }
    for (const part of parts) this.#put(part);
  }

  /** What the NATS client calls to add bytes. */
  fill(...parts: Uint8Array[]): void {
    this.add("", parts);
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

  #put(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** A block with room for `size` more bytes; what has not been taken out moves along. */
  #begin(size: number): void {
    const kept = this.drain();
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK, kept.length + size));
    [this.#start, this.#end] = [0, 0];
    this.#put(kept);
  }
}
