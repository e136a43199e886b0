import type { Call } from "../wire/call.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import type { ChunkRoom } from "./format/chunk_room.ts";
import { chunkSize, type ChunkSource, collectChunks, damaged } from "./_chunk_source.ts";
import { Digest, digestOf, sameDigest } from "./format/object_digest.ts";
import type { StoredMeta } from "./format/object_meta.ts";
import type { ObjectRange } from "./format/object_range.ts";
import type { ObjectStream } from "./_object_stream.ts";
import { RangeChunks } from "./_range_chunks.ts";

const MIB = 1024 * 1024;

/** Bytes that one request may return: while a stream is read page by page, and where all chunks have their place. */
const PAGE_BYTES = { streamed: 2 * MIB, placed: 4 * MIB };

/** A single chunk of at most so many bytes is read by a single get, which is sent again where no answer arrives. */
const SINGLE_GET_BYTES = 256 * 1024;

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
  /** Bytes that have come. */
  #length = 0;
  /** That of the chunks that have come; with a room, of those that have arrived. */
  #digest: Digest | null = null;
  /** The next chunks, where they were requested ahead. */
  #requested: Promise<StoredMessage[]> | null = null;

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
  all(call: Call): Promise<Uint8Array | null> {
    const { size, digest } = this.meta;
    if (this.left !== 1 || size > SINGLE_GET_BYTES) return collectChunks(call, this, size);
    return this.stream.reader.only(call, this.#subject, this.#fromLeader, size).then((chunk) => {
      if (chunk === null) return null;
      const { data } = chunk;
      if (data.length !== size || !sameDigest(digest, digestOf(data))) throw damaged(this.meta);
      return data;
    });
  }

  /**
   * The next chunks: none if there are none, though some are left. Where room is given for them, each is added to the digest as it arrives, and the ones
   * behind are requested at once. A read with room cannot go on once this has thrown.
   *
   * @throws {JetStreamStoreError} `damaged`.
   */
  async next(call: Call, room?: ChunkRoom): Promise<Uint8Array[]> {
    const page = await (this.#requested ?? this.#request(call, room));
    this.#requested = null;
    if (page.length === 0) return [];
    this.#after = page[page.length - 1].sequence;
    this.left -= page.length;
    const chunks = page.map(({ data }) => data);
    this.#count(chunks);
    room?.add(chunks);
    if (room && this.left > 0) {
      this.#requested = this.#request(call, room);
      // It is thrown as these chunks are asked for, if they are.
      this.#requested.catch(() => {});
    }
    if (!room) { for (const chunk of chunks) this.#sum.update(chunk); }
    this.#check();
    return chunks;
  }

  async #request(call: Call, room?: ChunkRoom): Promise<StoredMessage[]> {
    const bytes = room ? PAGE_BYTES.placed : PAGE_BYTES.streamed;
    const batch = Math.min(this.left, Math.max(1, Math.floor(bytes / this.#size)));
    const place = room && ((size: number) => room.place(size));
    // While the server sends the next ones. A read with room does not go on after a page that fails.
    const arrived = room && (({ data }: StoredMessage) => this.#sum.update(data));
    const query = { seq: this.#after + 1, next_by_subj: this.#subject, batch, size: this.#size, place, arrived };
    const page = await this.stream.reader.page(call, query, this.#fromLeader);
    if (page.length > 0 || this.#fromLeader) return page;
    this.#fromLeader = true;
    return await this.stream.reader.page(call, query, true);
  }

  #count(chunks: Uint8Array[]): void {
    const { size } = this.meta;
    for (const { length } of chunks) this.#length += length;
    if (this.left > 0 ? this.#length > size : this.#length !== size) throw damaged(this.meta);
  }

  /** Made when it is needed: a read of a single chunk goes without. */
  get #sum(): Digest {
    return this.#digest ??= new Digest();
  }

  #check(): void {
    if (this.left === 0 && !sameDigest(this.meta.digest, this.#sum.end())) throw damaged(this.meta);
  }
}
