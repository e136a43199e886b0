import { Buffer } from "node:buffer";
import { isInstance, wrongType } from "../../checks.ts";
import { isBytes, ownBytes } from "../../bucket/own_bytes.ts";

/**
 * The bytes to store, as they are now.
 *
 * @throws {TypeError} If they are none.
 */
export function dataBytes(data: unknown, doing: string): Uint8Array {
  if (isBytes(data)) return ownBytes(data, doing, "data");
  if (typeof data !== "string") throw wrongType(`${doing} as 'data' must be a string or a Uint8Array`, data);
  if (data.isWellFormed()) return Buffer.from(data);
  throw new TypeError(`Cannot ${doing} as 'data' must be well-formed Unicode: current value has a lone surrogate`);
}

/**
 * Checks the source of an upload.
 *
 * @throws {TypeError} If it is none, or has a reader.
 */
export function checkSource(source: unknown, doing: string): void {
  const problem = `${doing} as 'source' must be a ReadableStream without another reader`;
  if (!isInstance(source, ReadableStream)) throw wrongType(problem, source);
  if (source.locked) throw new TypeError(`Cannot ${problem}: current value is locked`);
}

/** Bytes in chunks of equal size, the last one smaller. */
export function* dataChunks(data: Uint8Array, size: number): Generator<Uint8Array, void> {
  for (let start = 0; start < data.length; start += size) yield data.subarray(start, start + size);
}

/** Memory for the chunks of an upload, which is used again for the next ones: new memory for each would cost as much as the copy into it. */
export class ChunkMemory {
  readonly #size: number;
  readonly #free: Uint8Array[] = [];

  /** @param size Bytes of a chunk. */
  constructor(size: number) {
    this.#size = size;
  }

  /** Memory for a chunk. */
  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(this.#size);
  }

  /** Nothing reads a chunk any more. */
  give(chunk: Uint8Array): void {
    if (chunk.length === this.#size) this.#free.push(chunk);
  }
}

/**
 * The bytes of a source in chunks of equal size, the last one smaller. However it ends, the source is done with: read to its end, or cancelled.
 *
 * @throws What the source throws, or the signal's reason.
 */
export async function* sourceChunks(
  source: ReadableStream<Uint8Array>,
  memory: ChunkMemory,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  let chunk = memory.take();
  let length = 0;
  // What stands between is cancelled at once, however long the source takes over it.
  for await (const part of source.pipeThrough(new TransformStream<Uint8Array, Uint8Array>(), { signal })) {
    const bytes = partBytes(part);
    const size = bytes.length;
    for (let start = 0; start < size;) {
      const taken = bytes.subarray(start, Math.min(start + chunk.length - length, size));
      chunk.set(taken, length);
      start += taken.length;
      length += taken.length;
      if (length < chunk.length) continue;
      yield chunk;
      if (bytes.length < size) throw lostBytes();
      chunk = memory.take();
      length = 0;
    }
  }
  if (length > 0) yield chunk.subarray(0, length);
}

/** What a source gives. */
function partBytes(part: unknown): Uint8Array {
  if (!isBytes(part)) throw wrongType("store the object as its source must give Uint8Arrays", part);
  try {
    // Throws where the memory has gone, which a length of 0 does not tell.
    part.at(0);
    return part;
  } catch {
    throw lostBytes();
  }
}

function lostBytes(): TypeError {
  return new TypeError(
    "Cannot store the object as the buffer of a part that its source gave was transferred or shrunk: give parts that stay as they are",
  );
}
