import { JetStreamStoreError } from "../errors.ts";
import { shownName } from "../shown.ts";
import type { Call } from "../wire/call.ts";
import { ChunkRoom } from "./format/chunk_room.ts";
import type { StoredMeta } from "./format/object_meta.ts";
import type { ObjectStream } from "./_object_stream.ts";

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
   * @param room Gathers them; where it does, the next ones may be requested ahead.
   * @throws {JetStreamStoreError} `damaged`, if they are not what the info says.
   */
  next(call: Call, room?: ChunkRoom): Promise<Uint8Array[]>;
}

/** All bytes of a source; `null` if chunks are missing. */
export async function collectChunks(call: Call, source: ChunkSource, size: number): Promise<Uint8Array | null> {
  const room = new ChunkRoom(size);
  while (source.left > 0) if ((await source.next(call, room)).length === 0) return null;
  return room.data;
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
