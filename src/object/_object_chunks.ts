import type { Call } from "../wire/call.ts";
import { chunkSize, type ChunkSource, collectChunks, damaged } from "./_chunk_source.ts";
import { Digest, digestOf, sameDigest } from "./format/object_digest.ts";
import type { StoredMeta } from "./format/object_meta.ts";
import type { ObjectRange } from "./object_range.ts";
import type { ObjectStream } from "./_object_stream.ts";
import { RangeChunks } from "./_range_chunks.ts";

/** Bytes that one request may return. */
const BATCH_BYTES = 2 * 1024 * 1024;

/** A single chunk of at most so many bytes is read by a single get. */
const SMALL_CHUNK_BYTES = 64 * 1024;

/** The chunks of one object, read in their order, some at a time, and checked against its info. */
export class ObjectChunks implements ChunkSource {
  /** The object's info. */
  readonly meta: StoredMeta;
  /** How many have not come. */
  left: number;
  /** The stream that keeps them. */
  readonly stream: ObjectStream;
  readonly #subject: string;
  /** Bytes of one chunk, at most. */
  readonly #size: number;
  #fromLeader: boolean;
  /** Sequence of the last one that has come. */
  #after = 0;
  /** Bytes that have come, and their digest. */
  #length = 0;
  #digest: Digest | null = null;

  /** @param fromLeader Whether the leader answers: a replica may lag behind. */
  constructor(stream: ObjectStream, meta: StoredMeta, fromLeader: boolean) {
    this.meta = meta;
    this.left = meta.size > 0 ? meta.chunks : 0;
    this.stream = stream;
    this.#subject = stream.stored(stream.chunkSubject(meta.nuid));
    this.#size = chunkSize(meta);
    this.#fromLeader = fromLeader;
  }

  /** The chunks of a part of the object; these if that is all of it. */
  range({ start = 0, end = Infinity }: ObjectRange): ChunkSource {
    const { size } = this.meta;
    if (start === 0 && end >= size) return this;
    const bounds = [Math.min(start, size), Math.min(end, size)] as const;
    return new RangeChunks(this.stream, this.meta, bounds, this.#fromLeader);
  }

  /** The bytes of a part of the object; `null` if chunks are missing. */
  bytes(call: Call, range: ObjectRange): Promise<Uint8Array | null> {
    const part = this.range(range);
    if (part === this) return this.all(call);
    const { start = 0, end = Infinity } = range;
    const { size } = this.meta;
    return collectChunks(call, part, Math.min(end, size) - Math.min(start, size));
  }

  /**
   * The bytes of the whole object; `null` if chunks are missing.
   *
   * @throws {JetStreamStoreError} `damaged`.
   */
  async all(call: Call): Promise<Uint8Array | null> {
    const { size, digest } = this.meta;
    if (this.left === 1 && size <= SMALL_CHUNK_BYTES) {
      const chunk = await this.stream.reader.only(call, this.#subject, this.#fromLeader, size);
      if (chunk === null) return null;
      const { data } = chunk;
      if (data.length !== size || !sameDigest(digest, digestOf(data))) throw damaged(this.meta);
      return data;
    }
    return await collectChunks(call, this, size);
  }

  /**
   * The next chunks: none if there are none, though some are left.
   *
   * @throws {JetStreamStoreError} `damaged`.
   */
  async next(call: Call): Promise<Uint8Array[]> {
    const batch = Math.min(this.left, Math.max(1, Math.floor(BATCH_BYTES / this.#size)));
    const query = { seq: this.#after + 1, next_by_subj: this.#subject, batch, size: this.#size };
    let page = await this.stream.reader.page(call, query, this.#fromLeader);
    if (page.length === 0 && !this.#fromLeader) {
      this.#fromLeader = true;
      page = await this.stream.reader.page(call, query, true);
    }
    if (page.length > 0) this.#after = page[page.length - 1].sequence;
    this.left -= page.length;
    const chunks = page.map(({ data }) => data);
    this.#check(chunks);
    return chunks;
  }

  #check(chunks: Uint8Array[]): void {
    const { size, digest } = this.meta;
    const sum = this.#digest ??= new Digest();
    for (const chunk of chunks) {
      sum.update(chunk);
      this.#length += chunk.length;
    }
    const whole = this.left > 0 ? this.#length <= size : this.#length === size && sameDigest(digest, sum.end());
    if (!whole) throw damaged(this.meta);
  }
}
