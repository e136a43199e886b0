import { JetStreamStoreError } from "../errors.ts";
import { shownName } from "../shown.ts";
import type { Call } from "../wire/call.ts";
import type { StoredMeta } from "./format/object_meta.ts";
import type { ObjectStream } from "./_object_stream.ts";

/** Bytes for which room is made because an info says so; for more only as they come. */
const TRUSTED_BYTES = 16 * 1024 * 1024;

/** The bytes of an object, or of a part of it, some chunks at a time. */
export interface ChunkSource {
  /** The object's info. */
  readonly meta: StoredMeta;
  /** The stream that keeps the chunks. */
  readonly stream: ObjectStream;
  /** Chunks that have not been read, at least as long as there are any. */
  readonly left: number;
  /**
   * The next chunks, or what of them belongs to the part: some may be empty. None, if they are missing, though some are left.
   *
   * @throws {JetStreamStoreError} `damaged`, if they are not what the info says.
   */
  next(call: Call): Promise<Uint8Array[]>;
}

/** All bytes of a source; `null` if chunks are missing. */
export async function collectChunks(call: Call, source: ChunkSource, size: number): Promise<Uint8Array | null> {
  let data = new Uint8Array(Math.min(size, TRUSTED_BYTES));
  for (let length = 0; source.left > 0;) {
    const chunks = await source.next(call);
    if (chunks.length === 0) return null;
    for (const chunk of chunks) {
      // Twice as much each time, so that the copies do not add up.
      if (length + chunk.length > data.length) {
        data = new Uint8Array(data.buffer.transfer(Math.min(size, Math.max(2 * data.length, length + chunk.length))));
      }
      data.set(chunk, length);
      length += chunk.length;
    }
  }
  return data;
}

/** Bytes that each chunk of an object has at most: all but the last have the same size, which the info may state. */
export function chunkSize({ size, chunks, options }: StoredMeta): number {
  const stated = options?.max_chunk_size ?? 0;
  if (stated * chunks >= size && stated * (chunks - 1) < size) return stated;
  return Math.ceil(size / Math.max(1, chunks - 1));
}

/** What to throw for an object that is not what its info says. */
export function damaged({ name, bucket }: StoredMeta): JetStreamStoreError {
  return new JetStreamStoreError(
    "damaged",
    `The object "${shownName(name)}" of the bucket "${bucket}" does not match its digest: store it again`,
  );
}
