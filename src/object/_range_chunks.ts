import type { Call } from "../wire/call.ts";
import type { StoredMessage } from "../wire/stored_message.ts";
import type { ChunkRoom } from "./format/chunk_room.ts";
import { chunkSize, type ChunkSource, damaged } from "./_chunk_source.ts";
import type { StoredMeta } from "./format/object_meta.ts";
import type { ObjectStream } from "./_object_stream.ts";

/** Bytes that one request may return. */
const BATCH_BYTES = 2 * 1024 * 1024;

/** A chunk that the next ones are read from. */
interface Position {
  /** Sequence of a message at or before the next chunk, and behind the one before. */
  sequence: number;
  /** Bytes of the object before the next chunk. */
  offset: number;
}

/**
 * The chunks of a part of an object. Only those that hold it are read, and the last one, whose size shows that all others have the same: clients that
 * store what a stream gives may make them as they come. The chunks of such an object are read from the first one on.
 *
 * The digest is that of the whole object, so a part is checked by the sizes of its chunks only.
 */
export class RangeChunks implements ChunkSource {
  readonly meta: StoredMeta;
  readonly stream: ObjectStream;
  readonly #subject: string;
  readonly #size: number;
  readonly #start: number;
  readonly #end: number;
  #fromLeader: boolean;
  #position: Position | null = null;

  /**
   * @param start The first byte.
   * @param end The byte before which it ends, at most the object's size.
   * @param fromLeader Whether the leader answers: a replica may lag behind.
   */
  constructor(stream: ObjectStream, meta: StoredMeta, [start, end]: readonly [number, number], fromLeader: boolean) {
    this.meta = meta;
    this.stream = stream;
    this.#subject = stream.stored(stream.chunkSubject(meta.nuid));
    this.#size = chunkSize(meta);
    this.#start = start;
    this.#end = end;
    this.#fromLeader = fromLeader;
  }

  get left(): number {
    const offset = Math.max(this.#position?.offset ?? 0, this.#start);
    return Math.ceil(Math.max(0, this.#end - offset) / this.#size);
  }

  async next(call: Call, room?: ChunkRoom): Promise<Uint8Array[]> {
    const position = this.#position ??= await this.#find(call);
    if (position === null) return [];
    const wanted = Math.ceil((this.#end - position.offset) / this.#size);
    const batch = Math.min(wanted, Math.max(1, Math.floor(BATCH_BYTES / this.#size)));
    const page = await this.#page(call, position.sequence, batch);
    if (page.length > 0) position.sequence = page[page.length - 1].sequence + 1;
    const chunks = page.map(({ data }) => this.#take(position, data));
    room?.add(chunks);
    return chunks;
  }

  /** What of a chunk belongs to the range: nothing of those before it, where they are read. */
  #take(position: Position, data: Uint8Array): Uint8Array {
    const { size } = this.meta;
    const offset = position.offset;
    position.offset += data.length;
    if (position.offset > size || data.length === 0) throw damaged(this.meta);
    return data.subarray(Math.max(0, this.#start - offset), Math.max(0, this.#end - offset));
  }

  /** Where the first chunk of the range is; `null` if chunks are missing. */
  async #find(call: Call): Promise<Position | null> {
    const { size, chunks } = this.meta;
    const index = Math.floor(this.#start / this.#size);
    const fromStart = { sequence: 1, offset: 0 };
    if (index === 0) return fromStart;
    const last = await this.#last(call);
    if (last === null) return null;
    // Where all but the last are full, the last one has the rest.
    if (last.data.length !== size - (chunks - 1) * this.#size) return fromStart;
    const sequence = await this.#sequenceOf(call, index, last.sequence);
    if (sequence === undefined) return fromStart;
    return sequence === null ? null : { sequence, offset: index * this.#size };
  }

  /**
   * The sequence of a chunk, or one between the chunk before and it; `null` if chunks are missing, and `undefined` if the server does not report which
   * chunk it returns. Those of an object whose bucket had no other write meanwhile lie side by side, so the first look finds it.
   */
  async #sequenceOf(call: Call, index: number, last: number): Promise<number | null | undefined> {
    const { chunks } = this.meta;
    // The chunk is behind the first sequence and at or before the second.
    let [low, high] = [0, last - (chunks - 1 - index)];
    for (let looks = 0; low < high; looks++) {
      const guess = looks < 2 ? high : Math.ceil((low + high) / 2);
      const [message] = await this.#page(call, guess, 1);
      if (!message) return null;
      if (message.pending === undefined) return undefined;
      const found = chunks - 1 - message.pending;
      if (found === index) return message.sequence;
      if (found > index) high = Math.min(guess - 1, message.sequence - (found - index));
      else low = message.sequence + (index - found) - 1;
    }
    return null;
  }

  async #last(call: Call): Promise<StoredMessage | null> {
    const last = await this.stream.reader.only(call, this.#subject, this.#fromLeader, this.#size);
    if (last !== null || this.#fromLeader) return last;
    this.#fromLeader = true;
    return await this.stream.reader.only(call, this.#subject, true, this.#size);
  }

  async #page(call: Call, seq: number, batch: number): Promise<StoredMessage[]> {
    const query = { seq, next_by_subj: this.#subject, batch, size: this.#size };
    const page = await this.stream.reader.page(call, query, this.#fromLeader);
    if (page.length > 0 || this.#fromLeader) return page;
    this.#fromLeader = true;
    return await this.stream.reader.page(call, query, true);
  }
}
