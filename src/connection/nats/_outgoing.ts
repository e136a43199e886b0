import { Buffer } from "node:buffer";

/** Bytes of a block. */
const BLOCK = 65_536;

const encoder = new TextEncoder();

/**
 * Frames on their way to the server, written one behind the other into blocks of memory that are never written over.
 *
 * It stands in for the NATS client's list of buffers, which costs an allocation for each command and a copy of all at the end. Text is gathered as
 * text, and encoded at once for all frames that are sent together: for each of them alone, that would cost more than all else that is done to send it.
 */
export class Outgoing {
  #block: Uint8Array = Buffer.alloc(0);
  /** What has been handed out ends here. */
  #start = 0;
  #end = 0;
  /** What follows the bytes in the block. */
  #text = "";

  /**
   * Adds the parts of a frame: all of them, or none if one cannot be read. Half a frame would make the server read the next one as its rest.
   *
   * @throws {TypeError} If the memory of a part has been transferred (its buffer is detached).
   */
  add(...parts: (string | Uint8Array)[]): void {
    const [bytes, text] = [this.#end - this.#start, this.#text];
    try {
      for (const part of parts) {
        if (typeof part === "string") this.#text += part;
        else this.#copy(part);
      }
    } catch (error) {
      [this.#end, this.#text] = [this.#start + bytes, text];
      throw error;
    }
  }

  /** What the NATS client calls to add bytes. */
  fill(...parts: Uint8Array[]): void {
    this.add(...parts);
  }

  /** Takes out all that was added. */
  drain(): Uint8Array {
    this.#encode();
    const taken = this.#block.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  /** Bytes that were added and not taken out, a character counted as one. */
  size(): number {
    return this.#end - this.#start + this.#text.length;
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

  /** Makes room in the block, or begins a new one, to which what has not been taken out moves along. */
  #reserve(size: number): void {
    if (this.#block.length - this.#end >= size) return;
    const kept = this.#block.subarray(this.#start, this.#end);
    this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK, kept.length + size));
    this.#block.set(kept);
    [this.#start, this.#end] = [0, kept.length];
  }
}
