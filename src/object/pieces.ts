import { JetStreamStoreError } from "../errors.ts";
import type { Session } from "../wire/session.ts";
import type { StreamReader } from "../wire/stream_reader.ts";
import { Budget } from "./budget.ts";
import { Digest, digestOf, sameDigest } from "./object_digest.ts";
import type { StoredMeta } from "./object_info.ts";
import type { ObjectStream } from "./object_stream.ts";

/** Bytes that one request asks for. */
const BATCH = 2 * 1024 * 1024;

/** Bytes that the server is asked for at the same time, over one connection: far less than it keeps for who does not take them (64 MiB). */
const IN_FLIGHT = 16 * 1024 * 1024;

/** A single piece of at most so many bytes does not count. */
const SMALL = 64 * 1024;

const budgets: WeakMap<Session, Budget> = new WeakMap();

/** The pieces of one object, read in their order, some at a time. */
export class Pieces {
  /** The object's record. */
  readonly meta: StoredMeta;
  readonly #reader: StreamReader;
  readonly #subject: string;
  /** Bytes of one piece, about. */
  readonly #size: number;
  #left: number;
  /** Sequence of the last one that has come. */
  #after = 0;

  constructor(reader: StreamReader, stream: ObjectStream, meta: StoredMeta) {
    this.meta = meta;
    this.#reader = reader;
    this.#subject = stream.pieces(meta.nuid);
    this.#left = meta.chunks;
    this.#size = Math.max(1, Math.ceil(meta.size / meta.chunks));
  }

  /** How many have not come. */
  get left(): number {
    return this.#left;
  }

  /**
   * The bytes of the whole object; `null` if pieces are missing.
   *
   * @param sure Whether the leader is asked: a replica may lag behind.
   * @throws {JetStreamStoreError} `damaged`.
   */
  async all(session: Session, deadline: number, sure: boolean): Promise<Uint8Array | null> {
    const { size, chunks, digest } = this.meta;
    if (size === 0) return new Uint8Array(0);
    if (chunks === 1 && size <= SMALL) {
      const piece = await this.#reader.last(session, this.#subject, deadline, sure);
      if (piece === null) return null;
      const { data } = piece;
      if (data.length !== size || !sameDigest(digest, digestOf(data))) throw damaged(this.meta);
      return data;
    }
    const data = new Uint8Array(size);
    const sum = new Digest();
    let length = 0;
    while (this.#left > 0) {
      const pieces = await this.next(session, deadline, sure);
      if (pieces.length === 0) return null;
      for (const piece of pieces) {
        if (length + piece.length > size) throw damaged(this.meta);
        sum.update(piece);
        data.set(piece, length);
        length += piece.length;
      }
    }
    if (length !== size || !sameDigest(digest, sum.end())) throw damaged(this.meta);
    return data;
  }

  /**
   * The next pieces: none if there are none, though some are left.
   *
   * @param sure Whether the leader is asked: a replica may lag behind.
   */
  async next(session: Session, deadline: number, sure: boolean): Promise<Uint8Array[]> {
    const batch = Math.min(this.#left, Math.max(1, Math.floor(BATCH / this.#size)));
    let budget = budgets.get(session);
    if (!budget) budgets.set(session, budget = new Budget(IN_FLIGHT));
    await budget.take(batch * this.#size);
    const query = { seq: this.#after + 1, next_by_subj: this.#subject, batch };
    const pieces = await this.#reader.page(session, query, deadline, sure)
      .finally(() => budget.give(batch * this.#size));
    this.#left -= pieces.length;
    this.#after = pieces.at(-1)?.sequence ?? this.#after;
    return pieces.map(({ data }) => data);
  }
}

/** What to throw for an object that is not what its record says. */
export function damaged({ name, bucket }: StoredMeta): JetStreamStoreError {
  return new JetStreamStoreError(
    "damaged",
    `The object "${name}" of the bucket "${bucket}" does not match its digest: store it again`,
  );
}
