import type { Call } from "../wire/call.ts";
import { JetStreamStoreError } from "../errors.ts";
import { shownName } from "../shown.ts";
import { Digest, digestOf, sameDigest } from "./object_digest.ts";
import type { StoredMeta } from "./object_meta.ts";
import type { ObjectStream } from "./object_stream.ts";

/** Bytes that one request asks for. */
const BATCH = 2 * 1024 * 1024;

/** Bytes for which room is made because an info says so; for more only as they come. */
const TRUSTED_SIZE = 16 * 1024 * 1024;

/** A single piece of at most so many bytes is read by a single get. */
const SMALL = 64 * 1024;

/** The pieces of one object, read in their order, some at a time, and checked against its record. */
export class Pieces {
  /** The object's record. */
  readonly meta: StoredMeta;
  /** How many have not come. */
  left: number;
  /** The stream that keeps them. */
  readonly stream: ObjectStream;
  readonly #subject: string;
  /** Bytes of one piece, at most. */
  readonly #size: number;
  #sure: boolean;
  /** Sequence of the last one that has come. */
  #after = 0;
  /** Bytes that have come, and their digest. */
  #length = 0;
  #digest: Digest | null = null;

  /** @param sure Whether the leader is asked: a replica may lag behind. */
  constructor(stream: ObjectStream, meta: StoredMeta, sure: boolean) {
    this.meta = meta;
    this.left = meta.size > 0 ? meta.chunks : 0;
    this.stream = stream;
    this.#subject = stream.stored(stream.pieces(meta.nuid));
    this.#size = chunkSize(meta);
    this.#sure = sure;
  }

  /**
   * The bytes of the whole object; `null` if pieces are missing.
   *
   * @throws {JetStreamStoreError} `damaged`.
   */
  async all(call: Call): Promise<Uint8Array | null> {
    const { size, digest } = this.meta;
    if (this.left === 1 && size <= SMALL) {
      const piece = await this.stream.reader.only(call, this.#subject, this.#sure, size);
      if (piece === null) return null;
      const { data } = piece;
      if (data.length !== size || !sameDigest(digest, digestOf(data))) throw damaged(this.meta);
      return data;
    }
    let data = new Uint8Array(Math.min(size, TRUSTED_SIZE));
    for (let length = 0; this.left > 0;) {
      const pieces = await this.next(call);
      if (pieces.length === 0) return null;
      for (const piece of pieces) {
        // Twice as much each time, so that the copies do not add up.
        if (length + piece.length > data.length) {
          data = new Uint8Array(data.buffer.transfer(Math.min(size, Math.max(2 * data.length, length + piece.length))));
        }
        data.set(piece, length);
        length += piece.length;
      }
    }
    return data;
  }

  /**
   * The next pieces: none if there are none, though some are left.
   *
   * @throws {JetStreamStoreError} `damaged`.
   */
  async next(call: Call): Promise<Uint8Array[]> {
    const batch = Math.min(this.left, Math.max(1, Math.floor(BATCH / this.#size)));
    const query = { seq: this.#after + 1, next_by_subj: this.#subject, batch, size: this.#size };
    let page = await this.stream.reader.page(call, query, this.#sure);
    if (page.length === 0 && !this.#sure) {
      this.#sure = true;
      page = await this.stream.reader.page(call, query, true);
    }
    if (page.length > 0) this.#after = page[page.length - 1].sequence;
    this.left -= page.length;
    const pieces = page.map(({ data }) => data);
    this.#check(pieces);
    return pieces;
  }

  #check(pieces: Uint8Array[]): void {
    const { size, digest } = this.meta;
    const sum = this.#digest ??= new Digest();
    for (const piece of pieces) {
      sum.update(piece);
      this.#length += piece.length;
    }
    const whole = this.left > 0 ? this.#length <= size : this.#length === size && sameDigest(digest, sum.end());
    if (!whole) throw damaged(this.meta);
  }
}

/** Bytes that each chunk of an object has at most: all but the last have the same size, which the info may tell. */
function chunkSize({ size, chunks, options }: StoredMeta): number {
  const told = options?.max_chunk_size ?? 0;
  if (told * chunks >= size && told * (chunks - 1) < size) return told;
  return Math.ceil(size / Math.max(1, chunks - 1));
}

/** What to throw for an object that is not what its record says. */
function damaged({ name, bucket }: StoredMeta): JetStreamStoreError {
  return new JetStreamStoreError(
    "damaged",
    `The object "${shownName(name)}" of the bucket "${bucket}" does not match its digest: store it again`,
  );
}
